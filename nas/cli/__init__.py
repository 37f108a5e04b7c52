"""What all commands share.

- `architectures`: networks as a command line names them
- `command`: parsing, exit codes, folders and times
- `flags`: flags that several commands have
- `folders`: whose the files of an output folder are
- `heartbeat`: a line whenever none was written for a while
- `images`: what is said of images before a training
- `left_out`: what a command leaves out, in a line
- `stopping`: how a command is ended from outside
- `storage`: where a command's results lie
- `terminal`: where a command's lines go
"""
