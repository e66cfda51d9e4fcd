import azure.durable_functions as df


def orchestrate(context: df.DurableOrchestrationContext):
    return (yield context.call_activity("acting", "tea"))


main = df.Orchestrator.create(orchestrate)
