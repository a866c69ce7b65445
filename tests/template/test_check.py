"""A check that cannot fail checks nothing: each rule meets a template that breaks it.

usage: EXPANDED=… python tests/template/test_check.py, from the root of the project
"""

import copy
import os
import unittest

from check import load, problems, wildcards_say_why

DELIVER_ROLE_STATEMENT = ["DeliverRole", "Properties", "Policies", 0, "PolicyDocument", "Statement", 1]
SCHEDULE_ROLE_STATEMENT = [
    "SweepFunctionEveryMinuteRole", "Properties", "Policies", 0, "PolicyDocument", "Statement", 0,
]  # fmt: skip
KEY_STATEMENT = ["SecretsKey", "Properties", "KeyPolicy", "Statement", 0]
QUEUE_POLICY = {
    "Type": "AWS::SQS::QueuePolicy",
    "Properties": {
        "Queues": [{"Ref": "HintQueue"}],
        "PolicyDocument": {"Statement": [{"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:*"}]},
    },
}
STAGE_FORMAT = ["HttpApiApiGatewayDefaultStage", "Properties", "AccessLogSettings", "Format"]
GIVEN_TO_ALARMS = ["Alarms", "Properties", "Parameters"]
OTHER = {"Role": {"Ref": "OtherRole"}}
DASHBOARD_BODY = ["Resources", "Dashboard", "Properties", "DashboardBody", "Fn::Sub"]
FORM = ["Metadata", "AWS::CloudFormation::Interface"]
# Metrics that it does not show.
MANY = "".join(
    f'["AWS/Lambda", "Duration", "FunctionName", "${{{it}Function}}"], ' for it in ("Intake", "Poll", "Sweep", "Deliver")
)
PATHS = ["HttpApi", "Properties", "Body", "paths"]
GONE = object()

# What is changed below Resources, into what, and the words that must complain of it.
BROKEN = [
    (["SweepFunctionEveryMinute", "Properties", "ScheduleExpression"], "rate(1 minutes)", "is no schedule"),
    (["SweepFunctionEveryMinute", "Properties", "Name"], "every-minute", "fixed name"),
    (["HintQueue", "Properties", "VisibilityTimeout"], 179, "while its function may still run"),
    (["HintQueue", "Properties", "VisibilityTimeout"], GONE, "while its function may still run"),
    (["DeliverFunctionHints", "Properties", "FunctionResponseTypes"], GONE, "fails its whole batch"),
    (["HintQueue", "Properties", "RedrivePolicy"], GONE, "comes back for ever"),
    (["SlowHintQueue", "Properties", "RedrivePolicy"], GONE, "comes back for ever"),
    (["SlowHintQueue", "Properties", "VisibilityTimeout"], 30, "while its function may still run"),
    (["PollRole", "Properties", "ManagedPolicyArns"], ["arn:aws:iam::aws:policy/ReadOnlyAccess"], "managed policy"),
    (["PollRole", "Properties", "AssumeRolePolicyDocument", "Statement", 0, "Principal"], "*", "* names more"),
    (
        ["PollRole", "Properties", "AssumeRolePolicyDocument", "Statement", 0, "Principal"],
        {"Service": "lambda.amazonaws.com", "AWS": "123456789012"},
        "more than a service may take it on",
    ),
    (DELIVER_ROLE_STATEMENT, None, "DeliverRole: something in it is null"),
    ([*DELIVER_ROLE_STATEMENT, "NotAction"], "dynamodb:Scan", "NotAction names all but"),
    ([*DELIVER_ROLE_STATEMENT, "Action"], "dynamodb:*", "dynamodb:* names more"),
    ([*DELIVER_ROLE_STATEMENT, "Action"], ["dynamodb:GetItem", "dynamodb:Batch*"], "dynamodb:Batch* names more"),
    ([*SCHEDULE_ROLE_STATEMENT, "Resource"], "*", "EveryMinuteRole: * names more"),
    ([*KEY_STATEMENT, "Action"], "kms:*", "SecretsKey: kms:* names more"),
    ([*KEY_STATEMENT, "Principal"], {"AWS": "*"}, "SecretsKey: * names more"),
    (["HintQueuePolicy"], QUEUE_POLICY, "HintQueuePolicy: sqs:* names more"),
    (["PollFunctionNotFoundPermission", "Properties", "Principal"], "*", "more than one service"),
    (["PollFunctionNotFoundPermission", "Properties", "SourceArn"], GONE, "what is anybody's"),
    ([*DELIVER_ROLE_STATEMENT, "Resource"], {"Fn::Sub": "${Table.Arn}/index/*"}, "index/* names more"),
    (["PollFunction", "Properties", "Role"], {"Fn::GetAtt": ["IntakeRole", "Arn"]}, "IntakeRole is another"),
    (["PollFunction", "Properties", "LoggingConfig"], GONE, "made by Lambda"),
    (["PollLogs", "Properties", "RetentionInDays"], GONE, "PollLogs: kept for ever"),
    (STAGE_FORMAT, '{"route":"$context.routeKey","path":"$context.path"}', "$context.path may hold"),
    (STAGE_FORMAT, '{"id":"$context.requestId"}', "does not say which route"),
    (STAGE_FORMAT[:-1], GONE, "no access log"),
    (["Table", "Properties", "TimeToLiveSpecification", "Enabled"], False, "has had its time"),
    (["Table", "Properties", "PointInTimeRecoverySpecification"], GONE, "no way back"),
    (["Table", "Properties", "SSESpecification"], GONE, "Table: encryption"),
    (["Table", "DeletionPolicy"], "Delete", "DeletionPolicy lets the data go"),
    (
        ["Table", "Properties", "GlobalSecondaryIndexes", 0, "Projection"],
        {"ProjectionType": "ALL"},
        "index due pays",
    ),
    (["HttpApi", "Properties", "Body", "paths", "/v1/health"], GONE, "GET /v1/health is promised"),
    (["HttpApi", "Properties", "Body", "paths", "/v1/other"], {"put": {}}, "PUT /v1/other is deployed"),
    (
        [*PATHS, "/v1/keys", "post", "x-amazon-apigateway-integration", "uri"],
        {"Fn::Sub": "functions/${PollFunction.Arn}/invocations"},
        "POST /v1/keys is deployed as ['Poll'], and watched as intake",
    ),
    (["DeadHintQueue", "Properties", "SqsManagedSseEnabled"], GONE, "DeadHintQueue: encryption"),
    (["DeliverFunctionHints", "Properties", "ScalingConfig"], GONE, "all copies that the account has"),
    ([*STAGE_FORMAT[:2], "DefaultRouteSettings", "ThrottlingRateLimit"], GONE, "as many calls as there are"),
    ([*STAGE_FORMAT[:2], "DefaultRouteSettings"], GONE, "as many calls as there are"),
    (["Alarms", "Condition"], GONE, "without an e-mail"),
    (["Dashboard", "Condition"], "HasAlarmEmail", "the dashboard is not"),
    ([*GIVEN_TO_ALARMS, "HintQueue"], GONE, "HintQueue is not both given and wanted"),
    ([*GIVEN_TO_ALARMS, "Table"], {"Ref": "Table"}, "Table is not both given and wanted"),
    ([*GIVEN_TO_ALARMS, "DeadHintQueue"], {"Fn::GetAtt": ["DeadSlowHintQueue", "QueueName"]}, "is another's"),
    (["OtherFunction"], {"Type": "AWS::Lambda::Function", "Properties": OTHER}, "Errors of ${OtherFunction} has none"),
    (["OtherQueue"], {"Type": "AWS::SQS::Queue", "Properties": {}}, "Visible of ${OtherQueue} has none"),
]


def alarm(name, *path):
    return ["Resources", name, "Properties", *path]


# The same in another part than template.yaml's resources. Where a text stands for a path, it is replaced there.
BROKEN_ELSEWHERE = [
    ("alarms", alarm("DeadLetters", "MetricName"), "DeadLetter", "nobody emits DeadLetter"),
    ("alarms", alarm("DeadLetters", "MetricName"), "Attempts", "Attempts has no dimensions"),
    ("alarms", alarm("DeadLetters", "Dimensions", 0, "Value"), "answerback", "DeadLetters has no dimensions"),
    ("alarms", alarm("OldHints", "MetricName"), "AgeOfOldestMessage", "AWS emits no AWS/SQS AgeOfOldestMessage"),
    ("alarms", alarm("OldHints", "Dimensions", 0, "Name"), "Queue", "by ['Queue']"),
    ("alarms", alarm("OldHints", "Dimensions", 0, "Value", "Ref"), "SlowHintQueue", "of ${HintQueue} has none"),
    ("alarms", alarm("SweepStopped", "MetricName"), "Errors", "Invocations of ${SweepFunction} has none"),
    ("alarms", alarm("HttpErrors", "MetricName"), "4xx", "5xx of ${HttpApi} has none"),
    ("alarms", alarm("PollThrottles", "MetricName"), "Errors", "Throttles of ${PollFunction} has none"),
    ("alarms", alarm("ClockSkew", "MetricName"), "SetAside", "ClockSkew of ${Stack} has none"),
    ("alarms", alarm("SetAside", "AlarmActions"), GONE, "nobody hears it (AlarmActions)"),
    ("alarms", alarm("SetAside", "OKActions"), [{"Ref": "Other"}], "nobody hears it (OKActions)"),
    ("alarms", alarm("SetAside", "TreatMissingData"), GONE, "says nothing of missing data"),
    ("alarms", alarm("SetAside", "AlarmName", "Fn::Sub"), "${Stack}-clock-skew", "another alarm has its name"),
    ("alarms", alarm("SetAside", "AlarmDescription"), "Something is wrong.", "names no line of the runbook"),
    ("alarms", alarm("SetAside", "AlarmDescription"), "Ill. See infra/RUNBOOK.md#ill", "has no line ill"),
    ("alarms", alarm("OldestDue", "Threshold"), 240, "no alarm rings at 180 of"),
    ("alarms", ["Resources", "SweepThrottles"], GONE, "does not say that the alarms cost $1.80"),
    ("runbook", "\n### Set aside\n", "\n### Put aside\n", "the runbook has no line set-aside"),
    ("runbook", "\n### Set aside\n", "\n### Nothing\n\n### Set aside\n", "no alarm names nothing"),
    ("functions", "SweepBacklog = ", "Backlog = ", "nobody emits SweepBacklog"),
    ("functions", '"it was set aside; a', '"set aside; a', "nobody logs: it was set aside"),
    ("functions", '"nor could it be', '"it could not be', "nobody logs: nor could it be put off"),
    ("dashboard", DASHBOARD_BODY, "{", "its body is no JSON"),
    ("dashboard", DASHBOARD_BODY, ('"BreakerOpenings"', '"Openings"'), "nobody emits Openings"),
    ("dashboard", DASHBOARD_BODY, ('"BreakerOpenings"', '"DeadLetters"'), "BreakerOpenings  is paid for"),
    ("dashboard", DASHBOARD_BODY, ('"vetoed", {', '"vetoes", {'), "RequestsFinished has no dimensions"),
    ("dashboard", DASHBOARD_BODY, ('"due", {', '"due", "A", "B", {'), "AWS emits no AWS/DynamoDB"),
    ("dashboard", DASHBOARD_BODY, ('"x": 16', '"x": 15'), "has no room"),
    ("dashboard", DASHBOARD_BODY, ('"x": 16', '"x": 17'), "has no room"),
    (
        "dashboard",
        DASHBOARD_BODY,
        ('"metrics": [', '"metrics": [' + MANY),
        "are more than CloudWatch shows",
    ),
    ("readme", "| `DueShards` |", "| `Shards` |", "Shards is not both"),
    ("readme", "| `16` |", "| `8` |", "DueShards is not 8 by default"),
    ("readme", "$1.90", "$1.00", "README: does not say that the alarms cost"),
    ("system", ["Parameters", "Other"], {"Default": ""}, "Other is not both a parameter and told of"),
    ("system", [*FORM, "ParameterGroups", 0, "Parameters", 0], GONE, "the form has other parameters"),
    ("system", [*FORM, "ParameterLabels", "DueShards"], GONE, "the form has other parameters"),
    ("source", ["Resources", "HttpApi", "Properties", "Auth"], GONE, "asks about each of its routes"),
]


def broken(project, part, path, value):
    """The project with one thing in one part of it changed."""
    whole = copy.deepcopy(getattr(project, part))
    if isinstance(path, str):
        assert path in whole, f"{part} has no {path}"
        return project._replace(**{part: whole.replace(path, value)})
    place = whole
    for step in path[:-1]:
        place = place[step]
    if value is GONE:
        del place[path[-1]]
    elif isinstance(value, tuple):
        assert value[0] in place[path[-1]], f"{part} has no {value[0]}"
        place[path[-1]] = place[path[-1]].replace(*value)
    else:
        place[path[-1]] = value
    return project._replace(**{part: whole})


class Check(unittest.TestCase):
    def setUp(self):
        self.project = load(os.environ["EXPANDED"], ".")

    def test_the_project_keeps_every_rule(self):
        self.assertEqual(problems(self.project), [])

    def test_each_broken_rule_is_noticed(self):
        in_template = [("system", ["Resources", *path], value, complaint) for path, value, complaint in BROKEN]
        for part, path, value, complaint in in_template + BROKEN_ELSEWHERE:
            with self.subTest(part=part, path=path, complaint=complaint):
                found = problems(broken(self.project, part, path, value))
                self.assertTrue(any(complaint in problem for problem in found), found)

    def test_a_wildcard_that_says_nothing_is_noticed(self):
        lines = self.project.texts["template.yaml"].splitlines()
        (at,) = [number for number, line in enumerate(lines) if line.strip() == "Resource: '*'"]
        silent = "\n".join(lines[: at - 1] + lines[at:])
        self.assertEqual(len(list(wildcards_say_why(silent))), 1)
        behind = silent.replace("Resource: '*'", "Resource: '*' # why")
        self.assertEqual(list(wildcards_say_why(behind)), [])
        inside = "Statement: [{Effect: Allow, Action: 'a:*', Resource: [b, !Sub '${Table.Arn}/*']}]"
        self.assertEqual(len(list(wildcards_say_why(f"A: b\n{inside}"))), 2)


if __name__ == "__main__":
    unittest.main()
