"""The location service: where the users of this node can be reached (RFC 3261 10)."""

from dataclasses import dataclass

from proxies.sip.messages.routing_uri import parse_routing_uri
from proxies.sip.transport.flow import Destination, Flow


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One registered contact of a user."""

    contact: str
    "The contact's URI, which becomes the Request-URI."

    parameters: str
    "The contact's header parameters other than `expires`, with their semicolons, as they were registered."

    call_id: str
    "The Call-ID of the REGISTER."

    cseq: int
    "Its CSeq number."

    expires_at: float
    "When it lapses, in the service's monotonic seconds."

    flow: Flow | None
    "The connection that it was registered over, which reaches a client that cannot be connected to; None over UDP."

    destination: Destination
    "Where the contact's URI leads, for when the connection is gone."


class LocationService:
    """The bindings of users. A user's number of bindings is bounded, and users are those of the node."""

    def __init__(self, *, maximum_bindings: int) -> None:
        self._maximum = maximum_bindings
        self._bindings: dict[str, list[Binding]] = {}
        self._users_by_flow: dict[Flow, set[str]] = {}

    def bindings_of(self, user: str, *, now: float) -> list[Binding]:
        """Return the bindings of a user that have not lapsed."""
        return [binding for binding in self._bindings.get(user, ()) if binding.expires_at > now]

    def has_room_for(self, bindings: list[Binding]) -> bool:
        """Return whether a user may have so many bindings."""
        return len(bindings) <= self._maximum

    def replace(self, user: str, bindings: list[Binding]) -> None:
        """Set all bindings of a user."""
        for binding in self._bindings.pop(user, ()):
            self._unlink(user, binding.flow)
        if bindings:
            self._bindings[user] = bindings
        for binding in bindings:
            if binding.flow is not None:
                self._users_by_flow.setdefault(binding.flow, set()).add(user)

    def find_contact(self, uri: str, *, now: float) -> Binding | None:
        """Return the binding whose contact a request within a dialog names as its target, or None."""
        user = parse_routing_uri(uri).user
        for binding in self.bindings_of(user, now=now):
            if binding.contact == uri:
                return binding
        return None

    def flow_closed(self, flow: Flow) -> None:
        """Forget the bindings that only this connection could reach.

        A contact that names another port than the connection came from may listen there, and stays.
        """
        for user in self._users_by_flow.pop(flow, set()):
            kept = [
                binding
                for binding in self._bindings.get(user, ())
                if binding.flow is not flow or binding.destination.port != flow.peer[1]
            ]
            if kept:
                self._bindings[user] = kept
            else:
                self._bindings.pop(user, None)

    def _unlink(self, user: str, flow: Flow | None) -> None:
        if flow is not None:
            users = self._users_by_flow.get(flow)
            if users is not None:
                users.discard(user)
                if not users:
                    del self._users_by_flow[flow]
