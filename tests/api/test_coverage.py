"""The page that tells which routes are served is true."""

from tools.workspace_api import PAGE, endpoints, page

from headway.workspace.refused import why_refused


def test_the_page_of_served_routes_is_true() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(endpoints()), "run: PYTHONPATH=tests python -m tools.workspace_api"


def test_no_served_route_is_also_refused_by_choice() -> None:
    # The last word for what is not served below them.
    general = ("/api/2.1/unity-catalog/", "/api/2.0/accounts/", "/api/2.0/mlflow/logged-models")
    both = [
        (endpoint.method, path)
        for endpoint in endpoints()
        for path, _ in endpoint.paths
        if why_refused(path) and not path.startswith(general)
    ]
    assert both == []
