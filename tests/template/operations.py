"""Rules for operators: alarms that can fire, a dashboard with data, and documentation that matches the code.

No linter checks that a metric is emitted, that a dashboard's body is JSON, or that docs/operations.md has the
section that an alarm links to.
"""

import json
import re

# Our own metrics. All have the dimension `Stack`; some have one more, listed with its values.
OURS = {
    "RequestsCreated": None,
    "RequestsFinished": ("Outcome", {"completed", "not_met", "vetoed", "timed_out", "defaulted", "cancelled"}),
    "TimeoutLateness": None,
    "Attempts": ("Result", {"delivered", "retried", "failed"}),
    "FirstAttemptLatency": None,
    "DeadLetters": None,
    "CrashLoops": None,
    "SweepBacklog": None,
    "SweepDuration": None,
    "OldestDueAge": None,
    "SweepErrors": None,
    "Quarantined": None,
    "BreakerOpenings": None,
    "ClockSkew": None,
}

# The metrics of AWS that we use, by namespace and dimensions.
AWS = {
    ("AWS/ApiGateway", ("ApiId",)): {"Count", "4xx", "5xx", "Latency"},
    ("AWS/Lambda", ("FunctionName",)): {"Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions"},
    ("AWS/SQS", ("QueueName",)): {"ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"},
    ("AWS/DynamoDB", ("TableName",)): {
        "ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits", "ReadThrottleEvents", "WriteThrottleEvents",
    },
    ("AWS/DynamoDB", ("GlobalSecondaryIndexName", "TableName")): {"WriteThrottleEvents"},
}  # fmt: skip

# CloudWatch: metrics on a free dashboard, dashboard width, monthly price of an alarm.
DASHBOARD_METRICS_MAX = 50
DASHBOARD_COLUMNS = 24
ALARM_CENTS = 10


def properties_of(template, kind):
    """The properties of each resource of this kind, by its logical id."""
    resources = template["Resources"].items()
    return {name: it.get("Properties", {}) for name, it in resources if it["Type"] == kind}


def alarms_of(project):
    return properties_of(project.alarms, "AWS::CloudWatch::Alarm")


def widgets_of(project):
    """The widgets of the dashboard, with `${Name}` unresolved; empty if the body is not JSON."""
    (dashboard,) = properties_of(project.dashboard, "AWS::CloudWatch::Dashboard").values()
    try:
        return json.loads(dashboard["DashboardBody"]["Fn::Sub"])["widgets"]
    except (ValueError, KeyError):
        return []


def metrics_of(widget):
    """The metrics of a widget: (namespace, name, dimensions), without rendering options."""
    for metric in widget["properties"]["metrics"]:
        namespace, name, *rest = [it for it in metric if isinstance(it, str)]
        yield namespace, name, dict(zip(rest[::2], rest[1::2], strict=True))


def watched(project):
    """Every metric in use: place, namespace, name and dimensions; parameters are written `${Name}`."""
    for where, alarm in alarms_of(project).items():
        dimensions = {
            it["Name"]: f"${{{it['Value']['Ref']}}}" if isinstance(it["Value"], dict) else it["Value"]
            for it in alarm["Dimensions"]
        }
        yield where, alarm["Namespace"], alarm["MetricName"], dimensions
    for widget in widgets_of(project):
        for namespace, name, dimensions in metrics_of(widget):
            yield widget["properties"]["title"], namespace, name, dimensions


def metrics_are_emitted(project):
    for where, namespace, name, dimensions in watched(project):
        if namespace != "Answerback":
            if name not in AWS.get((namespace, tuple(sorted(dimensions))), ()):
                yield f"{where}: AWS has no metric {namespace} {name} with {sorted(dimensions)}"
            continue
        if f" {name} = " not in project.functions:
            yield f"{where}: no function emits {name}"
        other = dict(dimensions)
        stack = other.pop("Stack", None)
        key, values = OURS.get(name) or (None, ())
        if stack != "${Stack}" or set(other) != ({key} - {None}) or not set(other.values()) <= set(values):
            yield f"{where}: {name} is not emitted with {dimensions}"


def our_metrics_are_shown(project):
    shown = {(name, *other.values()) for _, space, name, other in watched(project) if space == "Answerback"}
    for name, dimension in OURS.items():
        for value in dimension[1] if dimension else [None]:
            if (name, "${Stack}", *filter(None, [value])) not in shown:
                yield f"dashboard: {name} {value or ''} costs money but is not shown"


def dashboards_are_valid_and_free(project):
    widgets = widgets_of(project)
    if not widgets:
        yield "dashboard: its body is not JSON with widgets"
    distinct = {(space, name, *sorted(by.items())) for it in widgets for space, name, by in metrics_of(it)}
    if len(distinct) > DASHBOARD_METRICS_MAX:
        yield f"dashboard: {len(distinct)} metrics exceed CloudWatch's free dashboard"
    taken = set()
    for widget in widgets:
        columns = range(widget["x"], widget["x"] + widget["width"])
        rows = range(widget["y"], widget["y"] + widget["height"])
        place = {(x, y) for x in columns for y in rows}
        if taken & place or max(columns) >= DASHBOARD_COLUMNS:
            yield f"dashboard: {widget['properties']['title']} overlaps or is too wide"
        taken |= place


def annotations_match_alarm_thresholds(project):
    thresholds = {}
    for alarm in alarms_of(project).values():
        thresholds.setdefault(alarm["MetricName"], set()).add(alarm["Threshold"])
    for widget in widgets_of(project):
        for line in widget["properties"].get("annotations", {}).get("horizontal", []):
            if not any(line["value"] in thresholds.get(name, ()) for _, name, _ in metrics_of(widget)):
                yield f"dashboard: no alarm has the threshold {line['value']} of {widget['properties']['title']}"


def alarms_notify_the_topic(project):
    seen = set()
    for name, alarm in alarms_of(project).items():
        for actions in ("AlarmActions", "OKActions"):
            if alarm.get(actions) != [{"Ref": "Topic"}]:
                yield f"{name}: does not notify the topic ({actions})"
        if "TreatMissingData" not in alarm:
            yield f"{name}: does not set TreatMissingData"
        if str(alarm["AlarmName"]) in seen:
            yield f"{name}: has the name of another alarm"
        seen.add(str(alarm["AlarmName"]))


def anchors(markdown, section):
    """GitHub's anchors of the headings one level below `section`."""
    found, inside = set(), False
    for line in markdown.splitlines():
        if line.startswith("## "):
            inside = line == f"## {section}"
        elif inside and line.startswith("### "):
            found.add(re.sub(r"[^a-z0-9 -]", "", line[4:].lower()).replace(" ", "-"))
    return found


def alarms_and_their_sections_match(project):
    answered = anchors(project.operations, "Alarms")
    named = set()
    for name, alarm in alarms_of(project).items():
        link = re.search(r" See docs/operations\.md#([a-z-]+)$", alarm.get("AlarmDescription", ""))
        if not link:
            yield f"{name}: its description links to no section of docs/operations.md"
        elif link[1] not in answered:
            yield f"{name}: docs/operations.md has no section {link[1]}"
        else:
            named.add(link[1])
    for anchor in sorted(answered - named):
        yield f"docs/operations.md: no alarm links to {anchor}"


def log_messages_in_queries_are_logged(project):
    for queries in re.findall(r"\bmessage (?:= |in \[)((?:\"[^\"]+\"(?:, )?)+)", project.operations):
        for message in re.findall(r"\"([^\"]+)\"", queries):
            if f'"{message}"' not in project.functions:
                yield f"docs/operations.md: no function logs: {message}"


def everything_that_can_fail_has_an_alarm(project):
    """Functions, queues, schedule and API, each with the metric that shows its failure."""
    alarmed = {(name, *by.values()) for where, _, name, by in watched(project) if where in alarms_of(project)}
    wanted = [(name, "${Stack}") for name in ("CrashLoops", "DeadLetters", "OldestDueAge", "SweepErrors", "Quarantined", "ClockSkew")]
    wanted += [(it, f"${{{name}}}") for name in properties_of(project.system, "AWS::Lambda::Function")
               for it in ("Errors", "Throttles")]  # fmt: skip
    wanted += [("5xx", f"${{{name}}}") for name in properties_of(project.system, "AWS::ApiGatewayV2::Api")]
    for name, queue in properties_of(project.system, "AWS::SQS::Queue").items():
        metric = "ApproximateAgeOfOldestMessage" if "RedrivePolicy" in queue else "ApproximateNumberOfMessagesVisible"
        wanted.append((metric, f"${{{name}}}"))
    for name, schedule in properties_of(project.system, "AWS::Scheduler::Schedule").items():
        wanted.append(("Invocations", f"${{{schedule['Target']['Arn']['Fn::GetAtt'][0]}}}"))
    for metric, of in wanted:
        if (metric, of) not in alarmed:
            yield f"alarms: {metric} of {of} has no alarm"


def nested_stacks_get_their_parameters(project):
    for name, stack in properties_of(project.system, "AWS::CloudFormation::Stack").items():
        inner = project.alarms if stack["TemplateURL"].endswith("infra/alarms.yaml") else project.dashboard
        given = stack["Parameters"]
        for parameter in sorted(set(inner["Parameters"]) ^ set(given)):
            yield f"{name}: {parameter} is not both passed and declared"
        for parameter, value in given.items():
            of = "AWS::StackName" if parameter == "Stack" else parameter
            if value not in ({"Ref": of}, {"Fn::GetAtt": [of, "QueueName"]}):
                yield f"{name}: {parameter} is given the value of another resource"
    # Alarms need an e-mail address; the dashboard does not.
    resources = project.system["Resources"]
    if resources["Alarms"].get("Condition") != "HasAlarmEmail" or "Condition" in resources["Dashboard"]:
        yield "Alarms must depend on AlarmEmail, and the dashboard must not"


def table_of(markdown, section):
    """The rows of the first table in a section, each a list of its cells."""
    body = markdown.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    table = body[body.index("\n| ") + 1 :].split("\n\n", 1)[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def parameters_are_documented(project):
    parameters = project.system["Parameters"]
    documented = {row[0].strip("`"): row[-1].strip("`") for row in table_of(project.operations, "Deploy")}
    for name in sorted(set(parameters) ^ set(documented)):
        yield f"docs/operations.md: {name} is not both a parameter and documented"
    for name in set(parameters) & set(documented):
        if (str(parameters[name]["Default"]) or "none") != documented[name]:
            yield f"docs/operations.md: the default of {name} is not {documented[name]}"
    form = project.system["Metadata"]["AWS::CloudFormation::Interface"]
    in_groups = [it for group in form["ParameterGroups"] for it in group["Parameters"]]
    if in_groups != list(parameters) or list(form["ParameterLabels"]) != list(parameters):
        yield "Metadata: the form must list the parameters of the template, in the same order"


def cost_of_alarms_is_documented(project):
    cents = len(alarms_of(project)) * ALARM_CENTS
    cost = f"${cents // 100}.{cents % 100:02}"
    texts = {"docs/operations.md": project.operations, "AlarmEmail": project.system["Parameters"]["AlarmEmail"]["Description"]}
    for where, text in texts.items():
        if cost not in text:
            yield f"{where}: must say that the alarms cost {cost} a month"


def guided_deployment_does_not_ask_about_routes(project):
    """`sam deploy --guided` asks about every route of an API that does not set `Auth`."""
    for name, api in properties_of(project.source, "AWS::Serverless::HttpApi").items():
        if not api.get("Auth"):
            yield f"{name}: a guided deployment asks about every route"


RULES = [
    metrics_are_emitted,
    our_metrics_are_shown,
    dashboards_are_valid_and_free,
    annotations_match_alarm_thresholds,
    alarms_notify_the_topic,
    alarms_and_their_sections_match,
    log_messages_in_queries_are_logged,
    everything_that_can_fail_has_an_alarm,
    nested_stacks_get_their_parameters,
    parameters_are_documented,
    cost_of_alarms_is_documented,
    guided_deployment_does_not_ask_about_routes,
]
