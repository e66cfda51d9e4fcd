"""MQTT packets: what is written is read back, however the bytes arrive, and nonsense is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from worker_ext.errors import ProtocolError
from worker_ext.transports import mqtt_codec as codec
from worker_ext.transports.mqtt_codec import Decoder, Kind
from worker_ext.transports.mqtt_topics import matches

texts = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0+#"), max_size=40)
topics = texts.filter(bool)
pairs = st.lists(st.tuples(texts, texts), max_size=4)


def decode(data: bytes) -> tuple[int, bytes]:
    [(first, body)] = Decoder(1 << 28).feed(data)
    return first, body


@given(topics, st.binary(max_size=300), st.sampled_from([0, 1]), st.integers(1, 0xFFFF), st.booleans(), pairs)
def test_a_message_is_read_as_it_was_written(topic, payload, qos, mid, duplicate, properties):
    for modern in (False, True):
        data = codec.publish(topic, payload, qos, mid, duplicate=duplicate, modern=modern, properties=properties)
        found = codec.read_publish(*decode(data), modern=modern)
        expected = tuple(properties) if modern else ()
        assert (found.topic, found.payload, found.qos, found.duplicate) == (topic, payload, qos, duplicate)
        assert found.mid == (mid if qos else 0)
        assert tuple(found.properties) == expected


@given(st.lists(st.tuples(topics, st.binary(max_size=400)), max_size=6), st.lists(st.integers(1, 97), min_size=1))
def test_packets_are_cut_however_the_bytes_arrive(messages, sizes):
    stream = b"".join(codec.publish(t, p, 0, 0, duplicate=False, modern=True) for t, p in messages)
    decoder, found, at, turn = Decoder(1 << 20), [], 0, 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        found += decoder.feed(stream[at : at + size])
        at, turn = at + size, turn + 1
    read = [codec.read_publish(first, body, modern=True) for first, body in found]
    assert [(one.topic, one.payload) for one in read] == messages


@given(st.binary(max_size=200))
def test_nonsense_is_refused_and_nothing_else(data):
    for read in (
        lambda: codec.read_publish(0x32, data, modern=True),
        lambda: codec.read_publish(0x30, data, modern=False),
        lambda: codec.read_connack(data, modern=True),
        lambda: codec.read_suback(data, modern=True),
        lambda: codec.read_ack(data),
        lambda: list(Decoder(1000).feed(data)),
    ):
        try:
            read()
        except ProtocolError:
            pass


def test_a_packet_that_is_too_large_is_refused_before_it_has_come():
    with pytest.raises(ProtocolError, match="2000 bytes"):
        list(Decoder(1999).feed(bytes((0x30,)) + bytes((0x80 | 2000 & 0x7F, 2000 >> 7))))


def test_the_properties_that_paho_writes_are_read():
    packed = Properties(PacketTypes.PUBLISH)
    packed.UserProperty = [("traceparent", "00-ab"), ("a", "ä")]
    packed.MessageExpiryInterval = 7
    packed.ContentType = "text"
    packed.CorrelationData = b"\0\1"
    packed.SubscriptionIdentifier = 300
    packed.PayloadFormatIndicator = 1
    packed.TopicAlias = 9
    body = b"\0\1t" + packed.pack() + b"payload"
    found = codec.read_publish(0x30, body, modern=True)
    assert found.payload == b"payload"
    assert found.properties == [("traceparent", "00-ab"), ("a", "ä")]


def test_what_a_broker_of_the_old_version_answers_to_the_new_one_is_understood():
    assert codec.read_connack(b"\0\1", modern=True).code == 1


@pytest.mark.parametrize("topic", ["", "a/+", "#", "a\0"])
def test_topics_that_cannot_be_published_to(topic):
    with pytest.raises(ProtocolError):
        codec.publish(topic, b"", 0, 0, duplicate=False, modern=True)


@pytest.mark.parametrize(
    ("topic_filter", "topic", "expected"),
    [
        ("py", "py", True),
        ("py", "py/hi", False),
        ("py/+", "py/hi", True),
        ("py/+", "py", False),
        ("py/+", "py/", True),
        ("py/#", "py", True),
        ("py/#", "py/a/b", True),
        ("#", "anything/at/all", True),
        ("+/hi", "py/hi", True),
        ("#", "$SYS/broker", False),
        ("+/broker", "$SYS/broker", False),
        ("$SYS/#", "$SYS/broker", True),
    ],
)
def test_topic_filters(topic_filter, topic, expected):
    assert matches(topic_filter, topic) is expected


def test_kinds_of_what_is_written():
    assert codec.PINGREQ[0] >> 4 == Kind.PINGREQ
    assert decode(codec.subscribe(7, [("a", 1)], modern=False)) == (0x82, b"\0\7\0\1a\1")
    assert decode(codec.puback(0x0102)) == (0x40, b"\1\2")
