"""Changes that may cut off the one who makes them: tried, confirmed over a new connection, or taken back by
the host.

The host keeps what it needs to go back (old files, a script) in a folder of its own, a timer and a marker.
The timer runs the script unless the change is confirmed in time; the marker makes a boot run it, so that
neither a lost connection nor a power cut leaves a host that nobody reaches.
"""
