"""What happened in the events of failover-test.sh and cluster-test.sh, from their logs and from what the host saw.

  events.py row WORK STEP LONGEST GOAL ERRORS SIGHT... -- LOG...     prints a timeline, appends a row to WORK/rows.jsonl
  events.py table ROWS                                               prints all rows
"""
import datetime
import json
import re
import sys

# What is told of an event, in the words of the logs, and how the table calls it.
MILESTONES = [
    (r"lost the connection to ", "noticed"),
    (r"is lost: ", "judged"),
    (r"controller: .* leads", None),
    (r"its nexus moves to ", "moved"),
    (r"told to hand over", None),
    (r": handed over", None),
    (r"claiming its replicas", "claimed"),
    (r"its path is optimized", "serves"),
    (r"its path is inaccessible", "withdrawn"),
    (r"neither a peer nor the state store", None),
    (r"no longer cut off", None),
    (r"^volume \S+ is (healthy|degraded|rebuilding|blocked)", None),
    (r"^(stopping|stopped|serving on)", None),
]
LONGEST_TIMELINE = 60


def read(path, default=None):
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return default


def log_lines(paths, began):
    """(ms since `began`, text) of all lines; logs tell the time of day, in UTC."""
    midnight = began - began % 86_400_000
    for path in paths:
        with open(path, errors="replace") as file:
            for line in file:
                found = re.match(r"(\d\d):(\d\d):(\d\d)\.(\d+)Z? (\S+): (.*)", line)
                if not found:
                    continue
                hours, minutes, seconds = (int(part) for part in found.group(1, 2, 3))
                ms = midnight + ((hours * 60 + minutes) * 60 + seconds) * 1000 + int(found[4][:3].ljust(3, "0"))
                if ms < began - 43_200_000:
                    ms += 86_400_000
                yield ms - began, f"{found[5]}: {found[6]}", found[6]


def row(work, step, longest, goal, errors, *rest):
    split = rest.index("--")
    sights, logs = rest[:split], rest[split + 1 :]
    began = int(read(f"{work}/began", "0"))
    end = int(longest or 0) + 60_000
    milestones, timeline = {}, []
    for ms, text, message in log_lines(logs, began):
        if not 0 <= ms <= end:
            continue
        for pattern, name in MILESTONES:
            if re.search(pattern, message):
                timeline.append((ms, text))
                if name:
                    milestones[name] = min(milestones.get(name, ms), ms)
                break
    # The host: which way it used before, when that was lost to it, and when it had one again.
    used, states, paths = None, {}, []
    for sight in sights:
        ms, address, state, ana = sight.split(",")
        paths.append((int(ms) - began, address, state, ana))
    for ms, address, state, ana in sorted(paths):
        was = states.get(address)
        states[address] = (state, ana)
        good = (state, ana) == ("live", "optimized")
        if ms < 0:
            used = address if good else used
            continue
        if was:
            timeline.append((ms, f"host: {address} is {state}, {ana}"))
        if address == used and not good:
            milestones.setdefault("host_lost", ms)
        if good and "host_lost" in milestones or good and address != used:
            milestones.setdefault("host_back", ms)
    timeline.sort()
    for ms, text in timeline[:LONGEST_TIMELINE]:
        print(f"      +{ms / 1000:7.3f} s  {text[:150]}")
    if len(timeline) > LONGEST_TIMELINE:
        print(f"      ... {len(timeline) - LONGEST_TIMELINE} more")
    healed, healthy = read(f"{work}/healed"), read(f"{work}/healthy", "")
    rebuilt = 0
    for rebuild in json.loads(read(f"{work}/rebuilds.json", "[]")):
        started = datetime.datetime.fromisoformat(rebuild["started_at"].replace("Z", "+00:00")).timestamp() * 1000
        if started >= began - began % 1000:
            rebuilt += rebuild["bytes_sent"]
    result = {
        "event": step,
        "longest_pause_ms": int(longest) if longest.isdigit() else None,
        "goal_ms": int(goal),
        "host_errors": int(errors),
        **{f"{name}_ms": milestones.get(name) for name in ("noticed", "judged", "moved", "claimed", "serves", "withdrawn")},
        "host_lost_ms": milestones.get("host_lost"),
        "host_back_ms": milestones.get("host_back"),
        "rebuilt_bytes": rebuilt,
        "healthy_after_ms": int(healthy) - int(healed) if healthy.isdigit() and healed else None,
    }
    with open(f"{work}/rows.jsonl", "a") as file:
        file.write(json.dumps(result) + "\n")


def table(path):
    def seconds(ms):
        return "-" if ms is None else f"{max(ms, 0) / 1000:.1f} s"

    def size(count):
        return f"{count / 1024:.0f} KiB" if count < 10 << 20 else f"{count / (1 << 20):.0f} MiB"

    heads = ["event", "longest pause", "goal", "host noticed", "taken over", "host goes on", "errors", "rebuilt", "healthy after"]
    lines = [heads]
    with open(path) as file:
        for text in file:
            one = json.loads(text)
            lines.append([
                one["event"], seconds(one["longest_pause_ms"]), seconds(one["goal_ms"]), seconds(one["host_lost_ms"]),
                seconds(one["serves_ms"]), seconds(one["host_back_ms"]), str(one["host_errors"]), size(one["rebuilt_bytes"]),
                seconds(one["healthy_after_ms"]),
            ])
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        print("  ".join(cell.ljust(width) if not column else cell.rjust(width) for column, (cell, width) in enumerate(zip(line, widths))))
    print("Times count from the event's beginning; healthy after: since all that was broken is back.")


if __name__ == "__main__":
    if len(sys.argv) > 3 and sys.argv[1] == "row":
        row(*sys.argv[2:])
    elif len(sys.argv) == 3 and sys.argv[1] == "table":
        table(sys.argv[2])
    else:
        sys.exit(__doc__)
