"""What tests run beside themselves.

- `briefly`: a command whose latencies take a moment
- `browser`: Chromium, without a window and a network
- `evaluators`: classes that workers make by name
- `killed_runs`: searches that are killed, and what they leave
- `ports`: which are free
- `postgresql`: a server on the loopback
- `ray_nodes`: a Ray cluster on this machine
- `ultralytics_run`: YOLO's training and use
- `waiting`: for a fact, not for so many seconds
"""
