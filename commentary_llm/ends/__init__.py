"""What comes in and what goes out: trackers, microphones, streams, captions, files.

A source gives the lines of a tracker to the desk; a sink takes what a session tells. Each is one file under `sources/`
or `sinks/` that registers itself. Those of all matches run on one asyncio loop (`loop.py`), whose thread is the only
one made here, besides one for each live stadium sound, which PyAV reads by blocking (`stadium_sound.py`).
"""
