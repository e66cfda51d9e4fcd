// Numbers and times as people read them.

const TRIGGERS = {
  activityTrigger: "Activity", blobTrigger: "Blob", cosmosDBTrigger: "Cosmos DB", entityTrigger: "Entity",
  eventGridTrigger: "Event Grid", eventHubTrigger: "Event Hub", httpTrigger: "HTTP", kafkaTrigger: "Kafka",
  orchestrationTrigger: "Orchestrator", queueTrigger: "Queue", serviceBusTrigger: "Service Bus", sqlTrigger: "SQL",
  timerTrigger: "Timer", warmupTrigger: "Warm-up",
};

/** A trigger's type, such as "Queue". */
export const triggerName = (type) => TRIGGERS[type] ?? type.replace(/Trigger$/, "");

/** Seconds as "42 µs", "1.7 ms" or "2.4 s". */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  const ms = seconds * 1000;
  if (ms < 0.1) return `${(ms * 1000).toFixed(0)} µs`;
  if (ms < 10) return `${ms.toFixed(ms < 1 ? 2 : 1)} ms`;
  if (ms < 1000) return `${ms.toFixed(0)} ms`;
  return seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** Seconds since 1970 as the time of day. */
export const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString([], { hour12: false });

/** The same with milliseconds and date, for machines. */
export const iso = (seconds) => new Date(seconds * 1000).toISOString();

/** 1234567 as "1.2 M". */
export function count(number) {
  if (number < 10_000) return String(number);
  return number < 1_000_000 ? `${(number / 1000).toFixed(1)} k` : `${(number / 1_000_000).toFixed(1)} M`;
}
