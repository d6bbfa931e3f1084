"""A release: its artifacts, bill of materials, signature, and where it stands."""

from starlette.responses import Response

from headway.pipeline.service import PipelineService
from headway.web.door import Page, Visit


class Releases:
    """The pages."""

    def __init__(self, service: PipelineService) -> None:
        self._service = service

    def release(self, visit: Visit) -> Page:
        """One."""
        app = self._service.app(visit.path["app"])
        found = self._service.release(app.name, visit.path["version"])
        runs = [run for run in self._service.list_runs(app.name, limit=500) if run.version == visit.path["version"]]
        signed = "good" if found.verification.good and found.verification.signer else "bad"
        if found.verification.good and not found.verification.signer:
            signed = "off"
        return Page("release.html", {"app": app, "found": found, "runs": runs, "signed": signed})

    def sbom(self, visit: Visit) -> Response:
        """Its bill of materials, for a program."""
        name, version = self._service.app(visit.path["app"]).name, visit.path["version"]
        headers = {"Content-Disposition": f'attachment; filename="{name}-sbom.cdx.json"'}
        content = self._service.sbom(name, version)
        return Response(content, media_type="application/vnd.cyclonedx+json", headers=headers)
