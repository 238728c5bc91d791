"""Makes every call of the agent as a client in another language does, and tells what it saw.

Arguments: the agent's socket, the target's program, and a file for the recording. The target is
started here, so that what it says of its own calls stands beside what the agent says.
"""

import json
import subprocess
import sys
import threading

import grpc
from google.protobuf.duration_pb2 import Duration

from coral.agent.v1 import agent_pb2 as wire
from coral.agent.v1 import agent_pb2_grpc, session_pb2

SOCKET, PROGRAM, RECORDING = sys.argv[1:]
MESSAGE_BYTES_MAX = 1 << 20
NAME = "e2e-in-python"


class Target:
    """The program that knows its own calls."""

    def __init__(self):
        self.process = subprocess.Popen(
            [PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout.readline() == "ready\n"

    def run(self, scenario):
        """Runs a scenario; the calls of each function."""
        self.process.stdin.write(f"run {scenario}\n")
        self.process.stdin.flush()
        truth = json.loads(self.process.stdout.readline())["functions"]
        return {name: function["calls"] for name, function in truth.items()}

    def quit(self):
        self.process.stdin.close()
        return self.process.wait()


class Calls:
    """The agent's calls, and which of them were made."""

    def __init__(self, channel):
        self.stub = agent_pb2_grpc.AgentStub(channel)
        self.made = set()

    def __getattr__(self, name):
        self.made.add(name)
        return getattr(self.stub, name)


class Watcher(threading.Thread):
    """Reads a session's updates to their end."""

    def __init__(self, updates):
        super().__init__()
        self.updates, self.error = updates, None
        self.sequence, self.status, self.names, self.calls = 0, None, {}, {}
        self.start()

    def run(self):
        try:
            for update in self.updates:
                self.take(update)
        except Exception as error:  # told by the thread that waits for this one
            self.error = error

    def take(self, update):
        assert update.sequence == self.sequence + 1, update.sequence
        self.sequence = update.sequence
        assert update.is_whole == (update.sequence == 1)
        if update.HasField("session"):
            self.status = update.session.status
        for stats in update.functions:
            if not stats.is_known:
                self.names[stats.place] = stats.name
            self.calls[self.names[stats.place]] = stats.calls

    def result(self):
        self.join()
        assert self.error is None, self.error
        return session_pb2.SessionStatus.Name(self.status), self.calls


def all_functions(calls, target):
    """The functions of a process in pages of seven: their names by number."""
    names, token, total, pages = {}, "", None, 0
    while token or total is None:
        page = calls.ListFunctions(
            wire.ListFunctionsRequest(
                target=target, page_size=7, page_token=token, with_plans=True
            )
        )
        assert 0 < len(page.functions) <= 7
        assert total in (None, page.total)
        assert all(function.HasField("plan") for function in page.functions)
        assert bool(page.modules) == (pages == 0), "modules stand in the first page"
        names.update({function.id: function.name for function in page.functions})
        token, total, pages = page.next_page_token, page.total, pages + 1
    assert len(names) == total and pages > 1, (len(names), total, pages)
    return names


def lists(calls, pid):
    """What there is before any session."""
    capabilities = calls.GetCapabilities(wire.GetCapabilitiesRequest())
    assert capabilities.can_debug_uprobes, capabilities
    processes = calls.ListProcesses(wire.ListProcessesRequest()).processes
    [process] = [process for process in processes if process.pid == pid]
    assert not process.HasField("refusal"), process.refusal
    services = calls.ListServices(wire.ListServicesRequest()).services
    [service] = [service for service in services if service.name == NAME]
    assert [process.pid for process in service.processes] == [pid]
    assert service.source == "configuration"


def one_by_one(calls, target, pid):
    """The calls of one function as events; how many there were, and what their values were."""
    stream = calls.AttachUprobe(
        wire.AttachUprobeRequest(
            function_name="pay",
            pid=pid,
            duration=Duration(seconds=300),
            config=wire.UprobeConfig(capture_args=True, capture_return=True),
        )
    )
    stream.initial_metadata()  # comes when the probes are live
    truth = target.run("pay")["pay"]
    entries, exits, amounts, session_id, lost = 0, 0, 0, None, 0
    for event in stream:
        session_id, lost = event.session_id, event.lost
        assert (event.function_name, event.pid) == ("pay", pid), event
        if event.type == wire.UPROBE_EVENT_TYPE_ENTRY:
            entries += 1
            continue
        exits += 1
        assert event.duration_ns > 0
        amount = event.labels["arg.amount"]
        assert [amount] == [
            value for key, value in event.labels.items() if key.startswith("return.")
        ], event.labels
        amounts += int(amount)
        if exits == truth:
            break
    detached = calls.DetachUprobe(wire.DetachUprobeRequest(session_id=session_id))
    assert detached.success
    assert list(stream) == [], "no event comes for a call that was not made"
    return {
        "truth": truth,
        "entries": entries,
        "exits": exits,
        "amounts": amounts,
        "lost": lost,
    }


def session(calls, target, names):
    """A session that is watched, changed and ended; what was seen of it."""
    ids = {name: number for number, name in names.items()}
    started = calls.StartSession(
        wire.StartSessionRequest(
            request_id="python",
            target=wire.TargetRef(service_name=NAME),
            patterns=["pay", "/^(outer|second)$/"],
            settings=session_pb2.SessionSettings(
                duration=Duration(seconds=100), capture_args=True, no_budget=True
            ),
            room=10,
        )
    )
    session_id = started.session_id
    assert started.attached.probes > 0 and not started.attached.refused, started
    assert {names[number] for number in started.attached.function_ids} == {
        "pay",
        "outer",
        "second",
    }
    watched = calls.WatchSession(
        wire.WatchSessionRequest(
            session_id=session_id, interval=Duration(nanos=50_000_000)
        )
    )
    watched.initial_metadata()
    watcher = Watcher(watched)
    pay = target.run("pay")["pay"]
    tree = target.run("tree")
    added = calls.AddFunctions(
        wire.AddFunctionsRequest(session_id=session_id, function_ids=[ids["inner"]])
    )
    assert list(added.attached.function_ids) == [ids["inner"]]
    calls.RemoveFunctions(
        wire.RemoveFunctionsRequest(session_id=session_id, function_ids=[ids["second"]])
    )
    target.run("tree")
    calls.UpdateFilter(
        wire.UpdateFilterRequest(session_id=session_id, filter="amount > 190")
    )
    target.run("pay")
    extended = calls.ExtendSession(
        wire.ExtendSessionRequest(session_id=session_id, by=Duration(seconds=100))
    )
    assert 100 < extended.remaining.seconds <= 200, extended
    sessions = calls.ListSessions(wire.ListSessionsRequest(service_name=NAME)).sessions
    assert [info.session_id for info in sessions] == [session_id]
    ended = calls.EndSessions(wire.EndSessionsRequest(session_id=session_id)).sessions
    assert [info.session_id for info in ended] == [session_id]
    status, counted = watcher.result()
    truth = {
        "pay": 2 * pay,
        "outer": 2 * tree["outer"],
        "second": tree["second"],
        "inner": tree["inner"],
    }
    return session_id, {"status": status, "truth": truth, "counted": counted}


def traces(calls, target, pid):
    """The calls of one function as traces; how many there are in the document."""
    started = calls.StartSession(
        wire.StartSessionRequest(
            target=wire.TargetRef(pids=[pid]),
            trace=wire.TraceRequest(root="outer"),
            settings=session_pb2.SessionSettings(
                duration=Duration(seconds=100), no_budget=True
            ),
        )
    )
    truth = target.run("tree")["outer"]
    session_id = started.session_id
    calls.EndSessions(wire.EndSessionsRequest(session_id=session_id))
    request = wire.DownloadTracesRequest(session_id=session_id)
    document = b"".join(part.chunk for part in calls.DownloadTraces(request))
    return {"truth": truth, "requests": json.loads(document)["requests"]}


def journal(calls, target, pid):
    """The calls that a session leaves on disk, and how many journals are left afterwards."""
    started = calls.StartSession(
        wire.StartSessionRequest(
            target=wire.TargetRef(pids=[pid]),
            patterns=["pay"],
            journal=True,
            settings=session_pb2.SessionSettings(
                duration=Duration(seconds=100), no_budget=True
            ),
        )
    )
    truth = target.run("pay")["pay"]
    session_id = started.session_id
    calls.EndSessions(wire.EndSessionsRequest(session_id=session_id))
    [kept] = calls.ListJournals(wire.ListJournalsRequest()).journals
    name = {"session_id": session_id, "epoch": kept.epoch}
    entries = list(calls.ReadJournal(wire.ReadJournalRequest(**name)))
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
    assert [entry.is_last for entry in entries].index(True) == len(entries) - 1
    calls.AcknowledgeJournal(
        wire.AcknowledgeJournalRequest(sequence=len(entries), **name)
    )
    return {
        "truth": truth,
        "recorded": sum(len(entry.calls) for entry in entries),
        "left": len(calls.ListJournals(wire.ListJournalsRequest()).journals),
    }


def download(calls, session_id):
    """Writes the recording of a session to its file."""
    request = wire.DownloadRecordingRequest(session_id=session_id)
    with open(RECORDING, "wb") as file:
        for part in calls.DownloadRecording(request):
            file.write(part.chunk)


def refusal(calls):
    """What a client is told that asks for what there is not."""
    try:
        calls.ExtendSession(wire.ExtendSessionRequest(session_id="none"))
    except grpc.RpcError as error:
        metadata = dict(error.trailing_metadata())
        return [error.code().name, metadata["coral-code"], metadata["coral-help"]]
    raise AssertionError("it was not refused")


def main():
    target = Target()
    pid = target.process.pid
    # Of a socket's path gRPC's C core makes an authority that is no host, and HTTP/2 servers that
    # look at it refuse the request.
    options = [
        ("grpc.default_authority", "localhost"),
        ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ]
    with grpc.insecure_channel(SOCKET, options=options) as channel:
        calls = Calls(channel)
        lists(calls, pid)
        names = all_functions(calls, wire.TargetRef(pids=[pid]))
        [outer] = [number for number, name in names.items() if name == "outer"]
        callees = calls.ListCallees(
            wire.ListCalleesRequest(
                target=wire.TargetRef(pids=[pid]), function_id=outer
            )
        )
        events = one_by_one(calls, target, pid)
        session_id, measured = session(calls, target, names)
        download(calls, session_id)
        traced = traces(calls, target, pid)
        kept = journal(calls, target, pid)
        registered = calls.RegisterService(
            wire.RegisterServiceRequest(name="python", pid=0)
        )
        print(
            json.dumps(
                {
                    "agent_id": registered.agent_id,
                    "callees": [names[number] for number in callees.function_ids],
                    "events": events,
                    "journal": kept,
                    "made": sorted(calls.made),
                    "refusal": refusal(calls),
                    "session": measured,
                    "status": target.quit(),
                    "traces": traced,
                }
            )
        )


main()
