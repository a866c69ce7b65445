"""What an operator is promised: alarms that can ring, a dashboard that shows something, and words that are true.

No linter knows whether anybody emits a metric, whether a dashboard's body is JSON, or whether the runbook
has the line that an alarm names.
"""

import json
import re

# Our own metrics, all with the dimension `Stack`: the dimension that some have besides, and its values.
OURS = {
    "RequestsCreated": None,
    "RequestsFinished": ("Outcome", {"completed", "not_met", "vetoed", "timed_out", "defaulted", "cancelled"}),
    "TimeoutLateness": None,
    "Attempts": ("Result", {"delivered", "retried", "failed"}),
    "FirstAttemptLatency": None,
    "DeadLetters": None,
    "SweepBacklog": None,
    "SweepDuration": None,
    "OldestDueAge": None,
    "SweepErrors": None,
    "SetAside": None,
    "BreakerOpenings": None,
    "ClockSkew": None,
}

# What AWS emits, by namespace and dimensions, as far as we use it.
AWS = {
    ("AWS/ApiGateway", ("ApiId",)): {"Count", "4xx", "5xx", "Latency"},
    ("AWS/Lambda", ("FunctionName",)): {"Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions"},
    ("AWS/SQS", ("QueueName",)): {"ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"},
    ("AWS/DynamoDB", ("TableName",)): {
        "ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits", "ReadThrottleEvents", "WriteThrottleEvents",
    },
    ("AWS/DynamoDB", ("GlobalSecondaryIndexName", "TableName")): {"WriteThrottleEvents"},
}  # fmt: skip

# CloudWatch's terms: what it shows for nothing, how wide it shows it, and what an alarm costs a month.
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
    """The widgets of the dashboard, each `${Name}` in them as it stands; nothing where that is no JSON."""
    (dashboard,) = properties_of(project.dashboard, "AWS::CloudWatch::Dashboard").values()
    try:
        return json.loads(dashboard["DashboardBody"]["Fn::Sub"])["widgets"]
    except (ValueError, KeyError):
        return []


def metrics_of(widget):
    """The metrics of a widget: (namespace, name, dimensions), without what says how they are drawn."""
    for metric in widget["properties"]["metrics"]:
        namespace, name, *rest = [it for it in metric if isinstance(it, str)]
        yield namespace, name, dict(zip(rest[::2], rest[1::2], strict=True))


def watched(project):
    """Every metric that is looked at: where, namespace, name, and dimensions, a parameter written `${Name}`."""
    for where, alarm in alarms_of(project).items():
        dimensions = {
            it["Name"]: f"${{{it['Value']['Ref']}}}" if isinstance(it["Value"], dict) else it["Value"]
            for it in alarm["Dimensions"]
        }
        yield where, alarm["Namespace"], alarm["MetricName"], dimensions
    for widget in widgets_of(project):
        for namespace, name, dimensions in metrics_of(widget):
            yield widget["properties"]["title"], namespace, name, dimensions


def metrics_are_ones_that_somebody_emits(project):
    for where, namespace, name, dimensions in watched(project):
        if namespace != "Answerback":
            if name not in AWS.get((namespace, tuple(sorted(dimensions))), ()):
                yield f"{where}: AWS emits no {namespace} {name} by {sorted(dimensions)}"
            continue
        if f" {name} = " not in project.functions:
            yield f"{where}: nobody emits {name}"
        other = dict(dimensions)
        stack = other.pop("Stack", None)
        key, values = OURS.get(name) or (None, ())
        if stack != "${Stack}" or set(other) != ({key} - {None}) or not set(other.values()) <= set(values):
            yield f"{where}: {name} has no dimensions {dimensions}"


def metrics_of_ours_are_shown(project):
    shown = {(name, *other.values()) for _, space, name, other in watched(project) if space == "Answerback"}
    for name, dimension in OURS.items():
        for value in dimension[1] if dimension else [None]:
            if (name, "${Stack}", *filter(None, [value])) not in shown:
                yield f"dashboard: {name} {value or ''} is paid for and nowhere to be seen"


def dashboards_can_be_shown_and_cost_nothing(project):
    widgets = widgets_of(project)
    if not widgets:
        yield "dashboard: its body is no JSON with widgets"
    distinct = {(space, name, *sorted(by.items())) for it in widgets for space, name, by in metrics_of(it)}
    if len(distinct) > DASHBOARD_METRICS_MAX:
        yield f"dashboard: {len(distinct)} metrics are more than CloudWatch shows for nothing"
    taken = set()
    for widget in widgets:
        columns = range(widget["x"], widget["x"] + widget["width"])
        rows = range(widget["y"], widget["y"] + widget["height"])
        place = {(x, y) for x in columns for y in rows}
        if taken & place or max(columns) >= DASHBOARD_COLUMNS:
            yield f"dashboard: {widget['properties']['title']} has no room"
        taken |= place


def lines_are_where_alarms_ring(project):
    thresholds = {}
    for alarm in alarms_of(project).values():
        thresholds.setdefault(alarm["MetricName"], set()).add(alarm["Threshold"])
    for widget in widgets_of(project):
        for line in widget["properties"].get("annotations", {}).get("horizontal", []):
            if not any(line["value"] in thresholds.get(name, ()) for _, name, _ in metrics_of(widget)):
                yield f"dashboard: no alarm rings at {line['value']} of {widget['properties']['title']}"


def alarms_are_heard_and_say_why(project):
    seen = set()
    for name, alarm in alarms_of(project).items():
        for actions in ("AlarmActions", "OKActions"):
            if alarm.get(actions) != [{"Ref": "Topic"}]:
                yield f"{name}: nobody hears it ({actions})"
        if "TreatMissingData" not in alarm:
            yield f"{name}: says nothing of missing data"
        if str(alarm["AlarmName"]) in seen:
            yield f"{name}: another alarm has its name"
        seen.add(str(alarm["AlarmName"]))


def anchors(markdown, section):
    """The anchors of the headings right below `section`, as GitHub makes them."""
    found, inside = set(), False
    for line in markdown.splitlines():
        if line.startswith("## "):
            inside = line == f"## {section}"
        elif inside and line.startswith("### "):
            found.add(re.sub(r"[^a-z0-9 -]", "", line[4:].lower()).replace(" ", "-"))
    return found


def alarms_and_runbook_name_each_other(project):
    answered = anchors(project.runbook, "Alarms")
    named = set()
    for name, alarm in alarms_of(project).items():
        link = re.search(r" See infra/RUNBOOK\.md#([a-z-]+)$", alarm.get("AlarmDescription", ""))
        if not link:
            yield f"{name}: its description names no line of the runbook"
        elif link[1] not in answered:
            yield f"{name}: the runbook has no line {link[1]}"
        else:
            named.add(link[1])
    for anchor in sorted(answered - named):
        yield f"runbook: no alarm names {anchor}"


def lines_that_are_looked_for_are_logged(project):
    for queries in re.findall(r"\bmessage (?:= |in \[)((?:\"[^\"]+\"(?:, )?)+)", project.runbook):
        for message in re.findall(r"\"([^\"]+)\"", queries):
            if f'"{message}"' not in project.functions:
                yield f"runbook: nobody logs: {message}"


def what_may_break_is_watched(project):
    """The functions, queues and API that there are, each by what tells that it does not work."""
    alarmed = {(name, *by.values()) for where, _, name, by in watched(project) if where in alarms_of(project)}
    wanted = [(name, "${Stack}") for name in ("DeadLetters", "OldestDueAge", "SweepErrors", "SetAside", "ClockSkew")]
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
            yield f"alarms: {metric} of {of} has none"


def inner_stacks_get_what_they_name(project):
    for name, stack in properties_of(project.system, "AWS::CloudFormation::Stack").items():
        inner = project.alarms if stack["TemplateURL"].endswith("infra/alarms.yaml") else project.dashboard
        given = stack["Parameters"]
        for parameter in sorted(set(inner["Parameters"]) ^ set(given)):
            yield f"{name}: {parameter} is not both given and wanted"
        for parameter, value in given.items():
            of = "AWS::StackName" if parameter == "Stack" else parameter
            if value not in ({"Ref": of}, {"Fn::GetAtt": [of, "QueueName"]}):
                yield f"{name}: {parameter} is another's"
    # No alarm without somebody who hears it.
    resources = project.system["Resources"]
    if resources["Alarms"].get("Condition") != "HasAlarmEmail" or "Condition" in resources["Dashboard"]:
        yield "Alarms: they are there without an e-mail, or the dashboard is not"


def table_of(markdown, section):
    """The rows of the first table in a section, each a list of its cells."""
    body = markdown.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("| ").split(" | ") for line in body.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def parameters_are_told_of(project):
    parameters = project.system["Parameters"]
    told = {row[0].strip("`"): row[-1].strip("`") for row in table_of(project.readme, "Deploy")}
    for name in sorted(set(parameters) ^ set(told)):
        yield f"README: {name} is not both a parameter and told of"
    for name in set(parameters) & set(told):
        if (str(parameters[name]["Default"]) or "none") != told[name]:
            yield f"README: {name} is not {told[name]} by default"
    form = project.system["Metadata"]["AWS::CloudFormation::Interface"]
    in_groups = [it for group in form["ParameterGroups"] for it in group["Parameters"]]
    if in_groups != list(parameters) or list(form["ParameterLabels"]) != list(parameters):
        yield "Metadata: the form has other parameters than the template, or in another order"


def cost_of_alarms_is_told(project):
    cents = len(alarms_of(project)) * ALARM_CENTS
    cost = f"${cents // 100}.{cents % 100:02}"
    texts = {"README": project.readme, "AlarmEmail": project.system["Parameters"]["AlarmEmail"]["Description"]}
    for where, text in texts.items():
        if cost not in text:
            yield f"{where}: does not say that the alarms cost {cost} a month"


def guided_deployment_asks_no_route_by_route(project):
    """`sam deploy --guided` takes it for a mistake, once for each route, where an API says nothing of `Auth`."""
    for name, api in properties_of(project.source, "AWS::Serverless::HttpApi").items():
        if not api.get("Auth"):
            yield f"{name}: a guided deployment asks about each of its routes"


RULES = [
    metrics_are_ones_that_somebody_emits,
    metrics_of_ours_are_shown,
    dashboards_can_be_shown_and_cost_nothing,
    lines_are_where_alarms_ring,
    alarms_are_heard_and_say_why,
    alarms_and_runbook_name_each_other,
    lines_that_are_looked_for_are_logged,
    what_may_break_is_watched,
    inner_stacks_get_what_they_name,
    parameters_are_told_of,
    cost_of_alarms_is_told,
    guided_deployment_asks_no_route_by_route,
]
