"""The routes of the application against the table of operations."""

from mockanka.api.app import create_app
from mockanka.core.operations import OPERATIONS
from tests.controllers import controller_of


def test_the_routes_are_the_operations_of_the_table() -> None:
    """Every operation of the table has a route, and every route is an operation."""
    routes = [
        (method, rule.rule)
        for rule in create_app(controller_of("{}")).url_map.iter_rules()
        for method in rule.methods or ()
    ]

    assert sorted((operation.method, operation.path) for operation in OPERATIONS) == sorted(routes)
