"""What tests run beside themselves.

`browser` (Chromium), `postgresql` (a server), `ultralytics_run` (YOLO), `evaluators` (classes that workers make by
name), `ray_nodes` (a cluster on this machine), `killed_runs` (searches that are killed).
"""
