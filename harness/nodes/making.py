"""Makes the node of a plan."""

from harness.configuration.database import Database
from harness.nodes.node import CucmNode, ImpNode
from harness.nodes.surroundings import NodeSurroundings
from harness.plan.topology import ClusterPlan, CucmNodePlan, ImpNodePlan


def make_node(
    plan: ImpNodePlan | CucmNodePlan, cluster: ClusterPlan, surroundings: NodeSurroundings, database_url: str
) -> ImpNode | CucmNode:
    """Return the node, with a connection of its own to its cluster's database.

    Raises ConfigError where the URL cannot be used.
    """
    match plan:
        case ImpNodePlan():
            return ImpNode(plan, cluster, surroundings, Database(database_url))
        case CucmNodePlan():
            return CucmNode(plan, cluster, surroundings, Database(database_url))
