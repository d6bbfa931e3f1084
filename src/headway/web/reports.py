"""The report as a page with plots, as CSV and as JSON."""

from starlette.responses import JSONResponse, Response

from headway.pipeline.costs import Costs
from headway.pipeline.dora import Bucket
from headway.pipeline.report import Place, Reporter
from headway.pipeline.service import PipelineService
from headway.web.door import Page, Visit, with_query
from headway.web.plots import Plot, count_step, plot, time_step
from headway.web.rendering import duration

PERIODS = (7, 14, 30, 90, 180, 365)


class ReportPages:
    """The pages."""

    def __init__(self, service: PipelineService, reporter: Reporter) -> None:
        self._service, self._reporter = service, reporter

    def _asked(self, visit: Visit) -> tuple[str | None, int]:
        app = visit.query.get("app") or None
        if app is not None:
            self._service.app(app)
        return app, min(visit.number("days") or 30, 730)

    def show(self, visit: Visit) -> Page:
        """The report."""
        app, days = self._asked(visit)
        report = self._reporter.report(app, days)
        environment = visit.query.get("environment", "")
        names = list(dict.fromkeys(place.environment for place in report.places))
        shown = [place for place in report.places if environment in ("", place.environment)]
        query = {"app": app, "days": days}
        values = {
            "report": report,
            "places": shown,
            "plots": [(place, plots_of(place)) for place in shown],
            "hours": _hours(report.costs) if report.costs else None,
            "apps": self._service.list_apps(),
            "app": app or "",
            "days": days,
            "periods": PERIODS if days in PERIODS else (*PERIODS, days),
            "environments": names,
            "environment": environment,
            "csv": with_query("/report.csv", **query),
            "json": with_query("/report.json", **query),
        }
        return Page("report.html", values)

    def csv(self, visit: Visit) -> Response:
        """For a spreadsheet."""
        headers = {"Content-Disposition": 'attachment; filename="headway-report.csv"'}
        text = self._reporter.report(*self._asked(visit)).to_csv()
        return Response(text, media_type="text/csv", headers=headers)

    def json(self, visit: Visit) -> Response:
        """For a program."""
        return JSONResponse(self._reporter.report(*self._asked(visit)).to_json())


def plots_of(place: Place) -> tuple[Plot, ...]:
    """The four figures of an environment over time."""

    def points(value: object) -> list[tuple[int, list[float | None]]]:
        return [(bucket.start_ms, [_value(bucket, str(value))]) for bucket in place.buckets]

    name = f"{place.app}-{place.environment}"
    where = f"{place.app}, {place.environment}"
    return (
        plot(f"{name}-frequency", f"Deployments: {where}", points("stood"), lambda v: f"{v:g}", step_of=count_step),
        plot(f"{name}-lead", f"Lead time for changes: {where}", points("lead_seconds"), duration, step_of=time_step),
        plot(f"{name}-rate", f"Change failure rate: {where}", points("failure_rate"), lambda v: f"{v:.0%}", top=1),
        plot(f"{name}-restore", f"Time to restore: {where}", points("restore_seconds"), duration, step_of=time_step),
    )


def _value(bucket: Bucket, name: str) -> float | None:
    found: float | None = getattr(bucket.figures, name)
    return found


def _hours(costs: Costs) -> Plot:
    points = [(at, [own * 3600, runs * 3600]) for at, own, runs in costs.by_day]
    kinds = ("all-purpose", "per run")
    return plot("cluster-hours", "Node time by day", points, duration, kinds=kinds, step_of=time_step)
