"""Which clusters of a lab file can be each other's intercluster peers."""

from collections.abc import Iterable

from harness.near_matches import did_you_mean
from harness.plan.lab_file_errors import refuse, refuse_doubles


def refuse_bad_peers(clusters: Iterable[tuple[int, str, str, tuple[str, ...]]]) -> None:
    """Refuse peers that there are not, or that a cluster cannot have.

    Takes each IM and Presence cluster's place in the file, its name, its domain and its peers. Raises from within a
    validator, as `refuse` does.
    """
    known = list(clusters)
    domains = {name: domain for _, name, domain, _ in known}
    for i, name, domain, peers in known:
        refuse_doubles((("clusters", i, "peers", j), peer) for j, peer in enumerate(peers))
        others = [other for other in domains if other != name]
        for j, peer in enumerate(peers):
            path = ("clusters", i, "peers", j)
            if peer not in others:
                refuse(
                    path,
                    f"expected the name of another IM and Presence cluster, seen {peer!r}"
                    + did_you_mean(peer, others),
                )
            if domains[peer] != domain:
                refuse(
                    path,
                    f"expected a cluster of the same domain, {domain}, seen {peer!r} of {domains[peer]}: "
                    "clusters of different domains federate",
                )
