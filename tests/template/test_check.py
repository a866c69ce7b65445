"""Breaks each rule of check.py once, because a check that cannot fail checks nothing.

usage: EXPANDED=… python tests/template/test_check.py, from the root of the project
"""

import base64
import contextlib
import copy
import gzip
import io
import json
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
DELIVER_WRITE = [*DELIVER_ROLE_STATEMENT[:-1], 4]
POLL_KMS = ["PollRole", "Properties", "Policies", 0, "PolicyDocument", "Statement", 6]
INTAKE_OPENS = ["IntakeRole", "Properties", "Policies", 0, "PolicyDocument", "Statement", 8]
SIGNING_SECRETS = {"StringEquals": {"kms:EncryptionContext:answerback": "signing-secrets"}}
LEADING_KEYS = ["Condition", "ForAllValues:StringLike", "dynamodb:LeadingKeys"]
# A policy about another queue.
GONE_POLICY = {"Type": "AWS::SQS::QueuePolicy", "Properties": {"Queues": [], "PolicyDocument": {"Statement": []}}}
DELIVER_MAIL = [*DELIVER_ROLE_STATEMENT[:-1], 11, "Fn::If", 1]
DELIVER_VARIABLES = ["DeliverFunction", "Properties", "Environment", "Variables"]
BOUNCES = ["Bounces", "Properties"]
HINT_SENDERS = [
    "HintQueuePolicy", "Properties", "PolicyDocument", "Statement", 1, "Fn::If", 1, "Condition", "ArnEquals", "aws:SourceArn",
]  # fmt: skip
STAGE_FORMAT = ["HttpApiApiGatewayDefaultStage", "Properties", "AccessLogSettings", "Format"]
GIVEN_TO_ALARMS = ["Alarms", "Properties", "Parameters"]
OTHER = {"Role": {"Ref": "OtherRole"}}
DASHBOARD_BODY = ["Resources", "Dashboard", "Properties", "DashboardBody", "Fn::Sub"]
FORM = ["Metadata", "AWS::CloudFormation::Interface"]
# Metrics that the dashboard does not show.
MANY = "".join(
    f'["AWS/Lambda", "Duration", "FunctionName", "${{{it}Function}}"], ' for it in ("Intake", "Poll", "Sweep", "Deliver")
)
PATHS = ["HttpApi", "Properties", "Body", "paths"]
GONE = object()

# The path below Resources, its new value, and a part of the expected complaint.
BROKEN = [
    (["SweepFunctionEveryMinute", "Properties", "ScheduleExpression"], "rate(1 minutes)", "is not a schedule"),
    (["SweepFunctionEveryMinute", "Properties", "Name"], "every-minute", "fixed name"),
    (["HintQueue", "Properties", "VisibilityTimeout"], 179, "while its function still runs"),
    (["HintQueue", "Properties", "VisibilityTimeout"], GONE, "while its function still runs"),
    (["DeliverFunctionHints", "Properties", "FunctionResponseTypes"], GONE, "fails its whole batch"),
    (["HintQueue", "Properties", "RedrivePolicy"], GONE, "returns forever"),
    (["SlowHintQueue", "Properties", "RedrivePolicy"], GONE, "returns forever"),
    (["SlowHintQueue", "Properties", "VisibilityTimeout"], 30, "while its function still runs"),
    (["PollRole", "Properties", "ManagedPolicyArns"], ["arn:aws:iam::aws:policy/ReadOnlyAccess"], "managed policy"),
    (["PollRole", "Properties", "AssumeRolePolicyDocument", "Statement", 0, "Principal"], "*", "* matches more"),
    (
        ["PollRole", "Properties", "AssumeRolePolicyDocument", "Statement", 0, "Principal"],
        {"Service": "lambda.amazonaws.com", "AWS": "123456789012"},
        "more than a service may assume it",
    ),
    (DELIVER_ROLE_STATEMENT, None, "DeliverRole: contains null"),
    ([*DELIVER_ROLE_STATEMENT, "NotAction"], "dynamodb:Scan", "NotAction matches all but"),
    ([*DELIVER_ROLE_STATEMENT, "Action"], "dynamodb:*", "dynamodb:* matches more"),
    ([*DELIVER_ROLE_STATEMENT, "Action"], ["dynamodb:GetItem", "dynamodb:Batch*"], "dynamodb:Batch* matches more"),
    ([*SCHEDULE_ROLE_STATEMENT, "Resource"], "*", "EveryMinuteRole: * matches more"),
    ([*KEY_STATEMENT, "Action"], "kms:*", "SecretsKey: kms:* matches more"),
    ([*KEY_STATEMENT, "Principal"], {"AWS": "*"}, "SecretsKey: * matches more"),
    (["OtherQueuePolicy"], QUEUE_POLICY, "OtherQueuePolicy: sqs:* matches more"),
    (["PollFunctionNotFoundPermission", "Properties", "Principal"], "*", "more than one service"),
    (["PollFunctionNotFoundPermission", "Properties", "SourceArn"], GONE, "any source"),
    ([*DELIVER_ROLE_STATEMENT, "Resource"], {"Fn::Sub": "${Table.Arn}/index/*"}, "index/* matches more"),
    (["PollFunction", "Properties", "Role"], {"Fn::GetAtt": ["IntakeRole", "Arn"]}, "IntakeRole is shared"),
    (["PollFunction", "Properties", "LoggingConfig"], GONE, "Lambda creates its log group"),
    (["PollLogs", "Properties", "RetentionInDays"], GONE, "PollLogs: never expires"),
    (STAGE_FORMAT, '{"route":"$context.routeKey","path":"$context.path"}', "$context.path may contain"),
    (STAGE_FORMAT, '{"id":"$context.requestId"}', "lacks $context.routeKey"),
    (STAGE_FORMAT, '{"route":"$context.routeKey"}', "lacks $context.identity.sourceIp"),
    (STAGE_FORMAT[:-1], GONE, "no access log"),
    (["Table", "Properties", "TimeToLiveSpecification", "Enabled"], False, "expired items are not deleted"),
    (["Table", "Properties", "PointInTimeRecoverySpecification"], GONE, "point-in-time recovery is off"),
    (["Table", "Properties", "SSESpecification"], GONE, "Table: encryption"),
    (["Table", "DeletionPolicy"], "Delete", "DeletionPolicy must be Retain"),
    (["Table", "Properties", "DeletionProtectionEnabled"], GONE, "deletion protection is off"),
    ([*DELIVER_ROLE_STATEMENT, "Condition"], GONE, "reaches items of every kind"),
    ([*DELIVER_WRITE, *LEADING_KEYS, 0], "acct_*", "may write ['acct_*']"),
    ([*DELIVER_ROLE_STATEMENT, *LEADING_KEYS, 0], "key_*", "may read API keys"),
    ([*POLL_KMS, "Condition"], GONE, "other data than secrets"),
    ([*INTAKE_OPENS, "Condition"], SIGNING_SECRETS, "may open other secrets than those of notifiers"),
    ([*DELIVER_MAIL, "Action"], ["ses:SendEmail", "ses:DeleteIdentity"], "is more than sending the mail"),
    ([*DELIVER_MAIL, "Resource", 0, "Fn::Sub"], "arn:aws:ses:*:*:identity/*", "identity/* matches more"),
    ([*DELIVER_MAIL, "Resource", 1], {"Ref": "Other"}, "may not use the stack's configuration set"),
    (
        [*DELIVER_MAIL[:-2]],
        {"Effect": "Allow", "Action": ["ses:SendEmail", "ses:SendRawEmail"], "Resource": {"Ref": "Other"}},
        "even if SendsBySes is false",
    ),
    ([*POLL_KMS, "Action"], "ses:SendEmail", "PollRole: ['ses:SendEmail'] is more than"),
    (["Bounces", "Condition"], GONE, "Bounces: must depend on SendsBySes"),
    ([*BOUNCES, "EventPattern", "detail", "mail", "tags", "ses:configuration-set"], GONE, "matches mail of other systems"),
    ([*BOUNCES, "Targets", 0, "InputTransformer"], GONE, "passes on more than a hint"),
    ([*BOUNCES, "EventPattern", "detail-type"], ["Email Delivered"], "passes on more than a hint"),
    ([*BOUNCES, "Targets", 0, "Arn"], {"Fn::GetAtt": ["SlowHintQueue", "Arn"]}, "passes on more than a hint"),
    (HINT_SENDERS, [{"Fn::GetAtt": ["Complaints", "Arn"]}], "Bounces: may not send to the queue"),
    (["SesConfigurationSet", "Condition"], GONE, "must depend on SendsBySes"),
    (["SesConfigurationSet", "Properties", "TrackingOptions"], {"CustomRedirectDomain": "a.example"}, "tracks links"),
    (["SesConfigurationSet", "Properties", "ReputationOptions"], GONE, "measures no reputation"),
    ([*DELIVER_VARIABLES, "PUBLIC_BASE_URL"], "", "must be the API's own address in `deliver`"),
    (["PollFunction", *DELIVER_VARIABLES[1:], "PUBLIC_BASE_URL"], {"Fn::Sub": "https://${HttpApi}.a"}, "PollFunction: PUBLIC_BASE_URL"),
    (["HintQueuePolicy", "Properties", "Queues"], [], "HintQueue: accepts calls without TLS"),
    (["QueuePolicy"], GONE_POLICY, "SlowHintQueue: accepts calls without TLS"),
    (["QueuePolicy", "Properties", "Queues", 0], {"Ref": "HintQueue"}, "DeadHintQueue: accepts calls"),
    (
        ["HttpApi", "Properties", "Body", "servers", 0, "x-amazon-apigateway-endpoint-configuration"],
        {"disableExecuteApiEndpoint": True},
        "must be off with a domain",
    ),
    (["Domain", "Condition"], GONE, "there must be one, with HasDomain"),
    (["AuditOfPoll", "Properties", "FilterPattern"], "", "selects other lines"),
    (["AuditOfPollPermission", "Properties", "SourceAccount"], GONE, "PollLogs: its audit lines are not"),
    (["AuditLogs", "Properties", "RetentionInDays"], 30, "loses audit lines within a year"),
    (
        ["Table", "Properties", "GlobalSecondaryIndexes", 0, "Projection"],
        {"ProjectionType": "ALL"},
        "index due must project",
    ),
    (["HttpApi", "Properties", "Body", "paths", "/v1/health"], GONE, "GET /v1/health is documented"),
    (["HttpApi", "Properties", "Body", "paths", "/v1/other"], {"put": {}}, "PUT /v1/other is deployed"),
    (
        [*PATHS, "/v1/keys", "post", "x-amazon-apigateway-integration", "uri"],
        {"Fn::Sub": "functions/${PollFunction.Arn}/invocations"},
        "POST /v1/keys is deployed as ['Poll'] but watched as intake",
    ),
    (["DeadHintQueue", "Properties", "SqsManagedSseEnabled"], GONE, "DeadHintQueue: encryption"),
    (["DeliverFunctionHints", "Properties", "ScalingConfig"], GONE, "all concurrency of the account"),
    ([*STAGE_FORMAT[:2], "DefaultRouteSettings", "ThrottlingRateLimit"], GONE, "does not limit calls"),
    ([*STAGE_FORMAT[:2], "DefaultRouteSettings"], GONE, "does not limit calls"),
    (["Alarms", "Condition"], GONE, "must depend on AlarmEmail"),
    (["Dashboard", "Condition"], "HasAlarmEmail", "the dashboard must not"),
    ([*GIVEN_TO_ALARMS, "HintQueue"], GONE, "HintQueue is not both passed and declared"),
    ([*GIVEN_TO_ALARMS, "Table"], {"Ref": "Table"}, "Table is not both passed and declared"),
    ([*GIVEN_TO_ALARMS, "DeadHintQueue"], {"Fn::GetAtt": ["DeadSlowHintQueue", "QueueName"]}, "the value of another resource"),
    (["OtherFunction"], {"Type": "AWS::Lambda::Function", "Properties": OTHER}, "Errors of ${OtherFunction} has no alarm"),
    (["OtherQueue"], {"Type": "AWS::SQS::Queue", "Properties": {}}, "Visible of ${OtherQueue} has no alarm"),
]


def alarm(name, *path):
    return ["Resources", name, "Properties", *path]


# The same outside the resources of template.yaml. A string instead of a path is a text to replace.
BROKEN_ELSEWHERE = [
    ("alarms", alarm("CrashLoops", "MetricName"), "CrashLoop", "no function emits CrashLoop"),
    ("alarms", alarm("CrashLoops", "MetricName"), "Attempts", "Attempts is not emitted with"),
    ("alarms", alarm("CrashLoops", "Dimensions", 0, "Value"), "answerback", "CrashLoops is not emitted with"),
    ("alarms", alarm("OldHints", "MetricName"), "AgeOfOldestMessage", "AWS has no metric AWS/SQS AgeOfOldestMessage"),
    ("alarms", alarm("OldHints", "Dimensions", 0, "Name"), "Queue", "with ['Queue']"),
    ("alarms", alarm("OldHints", "Dimensions", 0, "Value", "Ref"), "SlowHintQueue", "of ${HintQueue} has no alarm"),
    ("alarms", alarm("SweepStopped", "MetricName"), "Errors", "Invocations of ${SweepFunction} has no alarm"),
    ("alarms", alarm("HttpErrors", "MetricName"), "4xx", "5xx of ${HttpApi} has no alarm"),
    ("alarms", alarm("PollThrottles", "MetricName"), "Errors", "Throttles of ${PollFunction} has no alarm"),
    ("alarms", alarm("ClockSkew", "MetricName"), "Quarantined", "ClockSkew of ${Stack} has no alarm"),
    ("alarms", alarm("Quarantined", "AlarmActions"), GONE, "does not notify the topic (AlarmActions)"),
    ("alarms", alarm("Quarantined", "OKActions"), [{"Ref": "Other"}], "does not notify the topic (OKActions)"),
    ("alarms", alarm("Quarantined", "TreatMissingData"), GONE, "does not set TreatMissingData"),
    ("alarms", alarm("Quarantined", "AlarmName", "Fn::Sub"), "${Stack}-clock-skew", "has the name of another alarm"),
    ("alarms", alarm("Quarantined", "AlarmDescription"), "Something is wrong.", "links to no section"),
    ("alarms", alarm("Quarantined", "AlarmDescription"), "Ill. See docs/operations.md#ill", "has no section ill"),
    ("alarms", ["Resources", "TopicPolicy", "Properties", "Topics"], [], "Topic: accepts calls without TLS"),
    ("alarms", alarm("OldestDue", "Threshold"), 240, "no alarm has the threshold 180 of"),
    ("alarms", ["Resources", "SweepThrottles"], GONE, "must say that the alarms cost $2.10"),
    ("operations", "\n### Quarantine\n", "\n### Other\n", "has no section quarantine"),
    ("operations", "\n### Quarantine\n", "\n### Nothing\n\n### Quarantine\n", "no alarm links to nothing"),
    ("functions", "SweepBacklog = ", "Backlog = ", "no function emits SweepBacklog"),
    ("functions", '"quarantined an item; an', '"set an item aside; an', "no function logs: quarantined an item"),
    ("functions", '"could not postpone', '"postponed not', "no function logs: could not postpone an item"),
    ("dashboard", DASHBOARD_BODY, "{", "its body is not JSON"),
    ("dashboard", DASHBOARD_BODY, ('"BreakerOpenings"', '"Openings"'), "no function emits Openings"),
    ("dashboard", DASHBOARD_BODY, ('"BreakerOpenings"', '"DeadLetters"'), "BreakerOpenings  costs money"),
    ("dashboard", DASHBOARD_BODY, ('"vetoed", {', '"vetoes", {'), "RequestsFinished is not emitted with"),
    ("dashboard", DASHBOARD_BODY, ('"due", {', '"due", "A", "B", {'), "AWS has no metric AWS/DynamoDB"),
    ("dashboard", DASHBOARD_BODY, ('"x": 16', '"x": 15'), "overlaps or is too wide"),
    ("dashboard", DASHBOARD_BODY, ('"x": 16', '"x": 17'), "overlaps or is too wide"),
    (
        "dashboard",
        DASHBOARD_BODY,
        ('"metrics": [', '"metrics": [' + MANY),
        "exceed CloudWatch's free dashboard",
    ),
    ("operations", "| `DueShards` |", "| `Shards` |", "Shards is not both"),
    ("operations", "| `4` |", "| `8` |", "the default of DueShards is not 8"),
    ("operations", "$2.20", "$1.00", "docs/operations.md: must say that the alarms cost"),
    ("system", ["Parameters", "Other"], {"Default": ""}, "Other is not both a parameter and documented"),
    ("system", [*FORM, "ParameterGroups", 0, "Parameters", 0], GONE, "the form must list"),
    ("system", [*FORM, "ParameterLabels", "DueShards"], GONE, "the form must list"),
    ("source", ["Resources", "HttpApi", "Properties", "Auth"], GONE, "asks about every route"),
]


def broken(project, part, path, value):
    """The project with one change in one part."""
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

    def test_the_audit_function_prints_the_lines_it_is_given(self):
        code = self.project.system["Resources"]["AuditFunction"]["Properties"]["Code"]["ZipFile"]
        names = {}
        exec(code, names)  # noqa: S102
        lines = ['{"target": "audit", "message": "revealed"}', '{"target": "audit", "what": "a key"}\n']
        batch = {"logEvents": [{"id": str(it), "message": line} for it, line in enumerate(lines)]}
        data = base64.b64encode(gzip.compress(json.dumps(batch).encode())).decode()
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            names["copy"]({"awslogs": {"data": data}}, None)
        self.assertEqual(printed.getvalue(), "".join(line.strip() + "\n" for line in lines))

    def test_a_wildcard_without_a_comment_is_noticed(self):
        lines = self.project.texts["template.yaml"].splitlines()
        at = max(number for number, line in enumerate(lines) if line.strip() == "Resource: '*'")
        silent = "\n".join(lines[: at - 1] + lines[at:])
        self.assertEqual(len(list(wildcards_say_why(silent))), 1)
        behind = silent.replace("Resource: '*'", "Resource: '*' # why")
        self.assertEqual(list(wildcards_say_why(behind)), [])
        inside = "Statement: [{Effect: Allow, Action: 'a:*', Resource: [b, !Sub '${Table.Arn}/*']}]"
        self.assertEqual(len(list(wildcards_say_why(f"A: b\n{inside}"))), 2)


if __name__ == "__main__":
    unittest.main()
