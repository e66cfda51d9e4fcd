"""Log lines are messages that protobuf reads, whatever is in them."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from worker_ext.invocation import LogRecord
from worker_ext.runtimes.azure.rpc import functions_rpc_pb2 as pb
from worker_ext.runtimes.azure.rpc.logs import encode_logs

TEXT = st.text(max_size=300)
LINES = st.lists(st.builds(LogRecord, st.integers(0, 60), st.sampled_from(["", "app.orders", "worker_ext.x"]), TEXT))


@given(request=TEXT.filter(str.isascii), owner=TEXT.filter(str.isascii), lines=LINES)
@example(request="stream", owner="id", lines=[LogRecord(20, "app", "x" * 100_000)])
def test_protobuf_reads_what_is_put_together_by_hand(request: str, owner: str, lines: list[LogRecord]) -> None:
    messages = [pb.StreamingMessage.FromString(data) for data in encode_logs(request, owner, lines)]

    assert [message.request_id for message in messages] == [request] * len(lines)
    assert [message.rpc_log.invocation_id for message in messages] == [owner] * len(lines)
    assert [message.rpc_log.category for message in messages] == [line.name for line in lines]
    assert [message.rpc_log.message for message in messages] == [line.message for line in lines]


@given(st.text(st.characters(categories=["Cs"]), min_size=1, max_size=3))
def test_what_utf_8_cannot_carry_is_replaced(text: str) -> None:
    (data,) = encode_logs("stream", "id", [LogRecord(20, "app", f"a{text}b")])

    assert pb.StreamingMessage.FromString(data).rpc_log.message == f"a{'?' * len(text)}b"


def test_a_line_of_no_invocation_is_told_as_one_of_the_worker() -> None:
    user, system = pb.RpcLog.RpcLogCategory.Value("User"), pb.RpcLog.RpcLogCategory.Value("System")
    record = LogRecord(20, "app", "hello")
    kinds = [
        pb.StreamingMessage.FromString(encode_logs("stream", owner, [record])[0]).rpc_log.log_category
        for owner in ("id", "")
    ]

    assert kinds == [user, system]
