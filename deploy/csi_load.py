"""Many volumes at once through the CSI sockets, and what it costs: csi_load.py [--again] CONTROLLER-ENDPOINT... COUNT.

Calls are spread over the endpoints, as of several controllers. First ten volumes one after the other, on a cluster at rest: created and attached. Then COUNT
volumes at once, each created (and asked for once more), attached, detached and deleted, while others list them and ask Probe. Any error ends it with exit status 1. Prints figures
as JSON. With --again calls that fail are made again, at another endpoint, as CSI's sidecars do: for controllers that are killed meanwhile; what they
give must be the same then, and it is shown how often that was.
"""
import json
import statistics
import sys
import threading
import time

import grpc

from csi_client import Client

is_again = sys.argv[1] == "--again"
endpoints, count = sys.argv[2 if is_again else 1:-1], int(sys.argv[-1])
clients = [Client(endpoint, timeout=150) for endpoint in endpoints]
mount = {"mount": {"fs_type": "ext4"}, "access_mode": {"mode": 1}}
errors, spent, repeated = [], {}, []
passing = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED, grpc.StatusCode.CANCELLED}
lock = threading.Lock()


def timed(client, method, **fields):
    """A call by one of several users; its time counts, its error too."""
    begin = time.monotonic()
    try:
        while True:
            try:
                return getattr(client, method)(**fields)
            except grpc.RpcError as error:
                if not is_again or error.code() not in passing or time.monotonic() - begin > 120:
                    raise
                with lock:
                    repeated.append(error.code().name)
                client = clients[(clients.index(client) + 1) % len(clients)]
                time.sleep(0.2)
    except grpc.RpcError as error:
        with lock:
            errors.append(f"{method}: {error.code().name}: {error.details()} (after {time.monotonic() - begin:.1f} s)")
        raise
    finally:
        with lock:
            spent.setdefault(method, []).append(time.monotonic() - begin)


def create_and_publish(client, name):
    wanted = dict(name=name, capacity_range={"required_bytes": 16 << 20}, volume_capabilities=[mount])
    made = timed(client, "CreateVolume", **wanted)["volume"]
    again = timed(client, "CreateVolume", **wanted)["volume"]
    assert again == made, (again, made)
    volume = made["volume_id"]
    node = "worker@aaaaaaaa-0000-4000-8000-000000000001"
    context = timed(client, "ControllerPublishVolume", volume_id=volume, node_id=node, volume_capability=mount)["publish_context"]
    assert context["nguid"] == volume.replace("-", ""), context
    return volume, node


def remove(client, volume, node):
    timed(client, "ControllerUnpublishVolume", volume_id=volume, node_id=node)
    timed(client, "DeleteVolume", volume_id=volume)


def summary(times):
    return {"p50_ms": round(statistics.median(times) * 1000, 1), "max_ms": round(max(times) * 1000, 1)}


def listed():
    names, token = [], ""
    while True:
        page = timed(clients[0], "ListVolumes", max_entries=50, starting_token=token)
        names += [e["volume"]["volume_id"] for e in page.get("entries", [])]
        token = page.get("next_token", "")
        if not token:
            return names


def main():
    result = {"volumes": count, "endpoints": len(endpoints)}
    assert listed() == [], "there are volumes already"
    alone = []
    for index in range(10):
        begin = time.monotonic()
        made = create_and_publish(clients[index % len(clients)], f"alone-{index}")
        alone.append(time.monotonic() - begin)
        remove(clients[0], *made)
    result["alone_create_and_publish"] = summary(alone)
    spent.clear()

    is_over = threading.Event()
    probes, all_there = [], threading.Barrier(count + 1, timeout=600)

    def probe(client):
        while not is_over.wait(0.05):
            begin = time.monotonic()
            try:
                answer = client.Probe()
            except grpc.RpcError as error:
                # Of a process that was just killed.
                if is_again and error.code() in passing:
                    continue
                raise
            assert is_again or answer == {"ready": {"value": True}}, answer
            probes.append(time.monotonic() - begin)

    def live(index):
        client = clients[index % len(clients)]
        try:
            made = create_and_publish(client, f"many-{index}")
            all_there.wait()
            remove(client, *made)
        except grpc.RpcError:
            all_there.abort()
        except threading.BrokenBarrierError:
            pass

    probers = [threading.Thread(target=probe, args=(Client(endpoint, timeout=150),), daemon=True) for endpoint in endpoints]
    users = [threading.Thread(target=live, args=(index,), daemon=True) for index in range(count)]
    begin = time.monotonic()
    for thread in probers + users:
        thread.start()
    try:
        all_there.wait()
        result["all_published_after_s"] = round(time.monotonic() - begin, 2)
        # While they go, and maybe not all of them any more.
        listed()
    except threading.BrokenBarrierError:
        pass
    for thread in users:
        thread.join()
    result["whole_s"] = round(time.monotonic() - begin, 2)
    is_over.set()
    for thread in probers:
        thread.join()
    if not errors:
        # A deletion may be answered before its end.
        deadline = time.monotonic() + 60
        while listed() and time.monotonic() < deadline:
            time.sleep(0.2)
        assert listed() == [], "volumes are left"
    if is_again:
        result["repeated_calls"] = {code: repeated.count(code) for code in sorted(set(repeated))}
    result["probe"] = summary(probes) | {"calls": len(probes)}
    result["calls"] = {method: summary(times) for method, times in sorted(spent.items())}
    print(json.dumps(result, indent=2))
    for error in errors[:20]:
        print(error, file=sys.stderr)
    sys.exit(1 if errors else 0)


main()
