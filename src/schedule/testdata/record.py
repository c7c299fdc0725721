"""Asks the protocol's server when schedules act and how it shows their specs.

    record.py ADDRESS       (a server of its own: schedules are created and deleted)

Writes times.txt and specs.txt beside this file. A block of times.txt is a spec in JSON, the window
asked for, and the times as seconds since 1970; specs.txt has specs and their canonical form or
error. Left out are windows in which zones east of Greenwich end summer time, for specs of several
times an hour: see ../spec.h.
"""

import json
import os
import sys
import uuid

import grpc
from google.protobuf.json_format import MessageToDict, ParseDict
from temporalio.api.workflowservice.v1 import request_response_pb2 as rr

YEAR = ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z")
DECADES = ("2020-02-28T12:34:56Z", "2050-01-01T00:00:00Z")
WEEK = ("2026-06-01T00:00:00Z", "2026-06-08T00:00:00Z")
HOUR = ("2026-06-01T00:00:00Z", "2026-06-01T01:00:00Z")
BERLIN_SPRING = ("2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z")
NEW_YORK_SPRING = ("2026-03-07T12:00:00Z", "2026-03-09T12:00:00Z")
NEW_YORK_AUTUMN = ("2026-10-31T12:00:00Z", "2026-11-02T12:00:00Z")
FAR = ("2060-01-01T00:00:00Z", "2062-01-01T00:00:00Z")


def cron(*texts, **more):
    return {"cron_string": list(texts), **more}


def every(seconds, phase=0, **more):
    return {"interval": [{"interval": f"{seconds}s", "phase": f"{phase}s"}], **more}


BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
CASES = [
    (cron("0 12 * * *"), YEAR),
    (cron("0 12 * * MON-FRI"), YEAR),
    (cron("*/15 9-17 * * mo,we,fr"), WEEK),
    (cron("* * * * *"), HOUR),
    (cron("*/7 * * * *"), WEEK),
    (cron("0 0 1 * *"), DECADES),
    (cron("0 0 29 2 *"), DECADES),
    (cron("0 0 31 * *"), DECADES),
    (cron("0 0 13 * FRI"), DECADES),
    (cron("30 6 15 3,6,9,12 *"), DECADES),
    (cron("0 0 * * 7"), YEAR),
    (cron("0 0 * * 5-7"), YEAR),
    (cron("0 0 * * 1-7/2"), YEAR),
    (cron("59 23 31 12 * 2026-2040/3"), DECADES),
    (cron("15 30 4 * * * *"), YEAR),
    (cron("*/20 */10 3 * * * 2026"), WEEK),
    (cron("@hourly"), WEEK),
    (cron("@daily"), YEAR),
    (cron("@weekly"), YEAR),
    (cron("@monthly"), DECADES),
    (cron("@yearly"), DECADES),
    (cron("0 0 31 2 *"), DECADES),
    (cron("0 8 * * *", "30 17 * * *", "@every 7h/1h"), WEEK),
    (cron("0 12 * * *", timezone_name=BERLIN), YEAR),
    (cron("30 2 * * *", timezone_name=NEW_YORK), YEAR),
    (cron("30 1 * * *", timezone_name=NEW_YORK), YEAR),
    (cron("TZ=Asia/Kolkata 0 0 * * *"), YEAR),
    (cron("0 0 * * *", timezone_name="Australia/Lord_Howe"), YEAR),
    (cron("0 0 * * *", timezone_name="Pacific/Auckland"), YEAR),
    (cron("0 23 * * 0", timezone_name="America/St_Johns"), DECADES),
    (cron("0 7 * * *", timezone_name=BERLIN), FAR),
    (cron("0 7 * * *", timezone_name=NEW_YORK), FAR),
    (cron("30 2 * * *", timezone_name=BERLIN), BERLIN_SPRING),
    (cron("*/20 * * * *", timezone_name=BERLIN), BERLIN_SPRING),
    (cron("*/20 * * * *", timezone_name=NEW_YORK), NEW_YORK_SPRING),
    (cron("*/20 * * * *", timezone_name=NEW_YORK), NEW_YORK_AUTUMN),
    (cron("30 1,2 * * *", timezone_name=NEW_YORK), NEW_YORK_AUTUMN),
    (every(1), ("2026-06-01T00:00:00Z", "2026-06-01T00:10:00Z")),
    (every(3600), WEEK),
    (every(3600, 300), WEEK),
    (every(7 * 86400, 3 * 86400), YEAR),
    (every(86400 * 10 + 7, 12345), DECADES),
    (every("5.5", "1.5"), HOUR),
    (every(600, jitter="300s"), WEEK),
    (every(60, jitter="3600s"), HOUR),
    (cron("0 */6 * * *", jitter="7200.5s"), WEEK),
    (cron("0 0 1 * *", jitter="8640000s"), DECADES),
    (every(3600, start_time="2026-06-02T00:00:00Z", end_time="2026-06-03T12:00:00Z"), WEEK),
    (every(3600, end_time="2026-06-03T12:00:00.500Z"), WEEK),
    (every(3600, start_time="2026-06-02T00:00:00.500Z"), WEEK),
    ({"calendar": [{"hour": "9", "day_of_week": "monday"}]}, YEAR),
    ({"calendar": [{"minute": "*/5", "hour": "8-10"}, {"second": "30", "hour": "12"}]}, WEEK),
    ({"calendar": [{"year": "2030", "month": "feb", "hour": "*/12"}]}, DECADES),
    ({"structured_calendar": [{}]}, YEAR),
    ({"structured_calendar": [{
        "second": [{"start": 1}], "minute": [{"start": 2}],
        "hour": [{"start": 3, "end": 23, "step": 7}],
        "day_of_month": [{"start": 1, "end": 31}], "month": [{"start": 1, "end": 12}],
        "day_of_week": [{"start": 0, "end": 6}]}]}, YEAR),
    (every(3600, exclude_calendar=[{"hour": "0-8,17-23"}]), WEEK),
    (cron("0 9 * * *", exclude_calendar=[{"hour": "*", "day_of_week": "sat,sun"}]), YEAR),
    (cron("0 9 * * *", timezone_name=NEW_YORK,
          exclude_calendar=[{"hour": "9", "month": "12", "day_of_month": "24-26"}]), YEAR),
    ({}, YEAR),
]


class Server:
    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)

    def call(self, method, **fields):
        request = getattr(rr, method + "Request")
        answer = getattr(rr, method + "Response")
        call = self.channel.unary_unary(
            "/temporal.api.workflowservice.v1.WorkflowService/" + method,
            request_serializer=request.SerializeToString,
            response_deserializer=answer.FromString)
        return call(ParseDict({"namespace": "default", **fields}, request()), timeout=20)


SPECS = [cron(text) for text in [
    "* * * *", "* * * * * * * *", "61 * * * *", "5/ * * * *", "5/0 * * * *", "5/x * * * *",
    "1/2/3 * * * *", "1-2-3 * * * *", "5-3 * * * *", "* 25 * * *", "* * * foo *", "* * * ja *",
    "* * * janu mo,tu-th", "* * * jan 7", "* * * jan 0-7", "* * * * 3-7", "* * * * 3-7/3",
    "* * * * 1-7/2", "* * * * 7-7", "* * * * 6-7", "0 0 * * * 2030", "5 0 0 * * * 2030",
    "0 0 * * * 1999", "@every 1s", "@every 500ms", "@every 1h/10m", "@every 1h/2h", "@every 1d",
    "@every", "@every x", "@daily", "@weekly # c", "@reboot", "TZ=", "TZ=Europe/Berlin",
    "TZ=Europe/Berlin 0 12 * * *", "CRON_TZ=America/New_York 0 12 * * * # noon",
    "TZ=Nowhere/X 0 12 * * *", "TZ=../x 0 12 * * *", "0 12 * * * #", "  0   12 * * *  ",
    "1,2,5-10/3 * * * *", "*/15 * * * *", "* * 31 2 *", "", "-1 * * * *", "1- * * * *",
    "+5 * * * *", "@every 1h/-5m", "@every -1h", "@every 1.5h", "@every 1w", "@every 10",
]] + [
    cron("TZ=Europe/Berlin 0 12 * * *", "0 13 * * *"),
    cron("TZ=Europe/Berlin 0 12 * * *", "@every 1h"),
    cron("TZ=Europe/Berlin 0 12 * * *", timezone_name="UTC"),
    cron("TZ=Europe/Berlin 0 12 * * *", timezone_name=BERLIN),
    cron("0 12 * * *", timezone_name=BERLIN),
    cron("0 12 * * *", timezone_name="Europe/Berlinx"),
    cron("0 12 * * *", timezone_name="/etc/passwd"),
    cron("0 12 * * *", timezone_data="QUFB"),
    cron("TZ=UTC 0 12 * * *", timezone_data="QUFB"),
    {"timezone_name": "Local"},
    {"calendar": [{}]},
    {"calendar": [{"hour": "25", "minute": "x"}]},
    {"calendar": [{"hour": "5", "comment": "c" * 201}]},
    {"structured_calendar": [{}]},
    {"structured_calendar": [{"hour": [{"start": 25}], "minute": [{"start": 5, "end": 3}],
                              "second": [{"step": -1}], "day_of_week": [{"start": 7}],
                              "day_of_month": [{"start": 0}]}]},
    {"exclude_structured_calendar": [{"hour": [{"start": 25}]}]},
    {"exclude_calendar": [{"hour": "25"}]},
    every(3600, exclude_calendar=[{"hour": "3"}]),
    {"interval": [{}]}, every("0.5"), every(5, 5), every(5, -1), every("5.5", "1.5"),
    every(5, start_time="2030-01-01T00:00:00Z", end_time="2029-01-01T00:00:00Z", jitter="-1s"),
    {"jitter": "1.5s"},
]


def seconds(t):
    text = str(t.seconds)
    return f"{text}.{t.nanos // 1000000:03d}" if t.nanos else text


def create(server, name, spec):
    action = {"start_workflow": {"workflow_id": "w", "workflow_type": {"name": "W"},
                                 "task_queue": {"name": "q"}}}
    server.call("CreateSchedule", schedule_id=name, request_id=str(uuid.uuid4()),
                schedule={"spec": spec, "action": action, "state": {"paused": True}})


def record_times(server, out):
    ns = server.call("DescribeNamespace").namespace_info.id
    for i, (spec, (start, end)) in enumerate(CASES):
        name = f"case-{i}"
        create(server, name, spec)
        times = server.call("ListScheduleMatchingTimes", schedule_id=name, start_time=start,
                            end_time=end).start_time
        server.call("DeleteSchedule", schedule_id=name)
        out.write(f"spec {json.dumps(spec)}\nseed {ns}-{name}\nfrom {start}\nto {end}\n")
        line = ""
        for t in [seconds(t) for t in times] + [""]:
            if not t or len(line) + len(t) > 95:
                out.write(line + "\n" if line else "")
                line = ""
            line += " " + t
        out.write("\n")


def record_specs(server, out):
    for i, spec in enumerate(SPECS):
        name = f"spec-{i}"
        out.write(f"spec {json.dumps(spec)}\n")
        try:
            create(server, name, spec)
        except grpc.RpcError as e:
            out.write("error " + e.details().removeprefix("Invalid schedule spec: ") + "\n")
            continue
        shown = server.call("DescribeSchedule", schedule_id=name).schedule.spec
        server.call("DeleteSchedule", schedule_id=name)
        out.write(f"is {json.dumps(MessageToDict(shown, preserving_proto_field_name=True))}\n")


def main():
    server = Server(sys.argv[1])
    folder = os.path.dirname(os.path.abspath(__file__))
    for name, record in (("times.txt", record_times), ("specs.txt", record_specs)):
        with open(os.path.join(folder, name), "w") as out:
            record(server, out)


main()
