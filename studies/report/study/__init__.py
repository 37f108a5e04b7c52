"""The sections of a study's report.

- `cards`: a card for each network of the front
- `common_choices`: what the front's networks have in common
- `drawing`: shapes and texts as SVG
- `finalists_section`: accuracy of the finalists by several seeds
- `front_section`: the front as a figure and a table
- `growth`: how the front grew
- `guidelines`: the four guidelines on the front
- `int8_section`: int8 beside fp32
- `layer_rows`: what each layer costs
- `network_drawing`: a network's stages and units
- `study_report`: the report, of all these
- `time_by_kind`: where the front's time goes
- `training_curves`: losses and accuracies by epoch
"""
