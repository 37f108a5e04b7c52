"""A folder of images as people have them: how it is laid out, which files are images, and what those look like.

- `class_files`: which files are images of which class, and what is left out
- `decode`: the pixels of one file, as people see them
- `known_names`: what names of files and folders tell
- `layout`: which folders are splits and which are classes, from names alone
- `left_out`: what is not read, counted by reason
- `tree`: all folders and files, as a value
"""
