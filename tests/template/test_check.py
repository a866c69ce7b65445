"""A check that cannot fail checks nothing: each rule meets a template that breaks it.

usage: EXPANDED=… OPENAPI=… python tests/template/test_check.py
"""

import copy
import os
import unittest

from check import load, problems

DELIVER_ROLE_STATEMENT = ["DeliverRole", "Properties", "Policies", 0, "PolicyDocument", "Statement", 1]
STAGE_FORMAT = ["HttpApiApiGatewayDefaultStage", "Properties", "AccessLogSettings", "Format"]
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
    ([*DELIVER_ROLE_STATEMENT, "Action"], "dynamodb:*", "dynamodb:* names more"),
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
]


class Check(unittest.TestCase):
    def setUp(self):
        self.template = load(os.environ["EXPANDED"])
        self.contract = load(os.environ["OPENAPI"])

    def test_the_template_keeps_every_rule(self):
        self.assertEqual(problems(self.template, self.contract), [])

    def test_each_broken_rule_is_noticed(self):
        for path, value, complaint in BROKEN:
            with self.subTest(path=path, complaint=complaint):
                template = copy.deepcopy(self.template)
                place = template["Resources"]
                for step in path[:-1]:
                    place = place[step]
                if value is GONE:
                    del place[path[-1]]
                else:
                    place[path[-1]] = value
                found = problems(template, self.contract)
                self.assertTrue(any(complaint in problem for problem in found), found)


if __name__ == "__main__":
    unittest.main()
