"""Pages: one self-contained HTML file each, and their figures.

- `benchmark_page`: a search over a benchmark table
- `calibration_figures`: a calibration's figures
- `calibration_page`: a calibration
- `comparison_figure`: a comparison's figure
- `comparison_page`: a comparison
- `figures`: accuracy and FLOPs against latency
- `guideline_page`: the papers' speed experiments
- `label_placement`: where a figure's names stand
- `page`: what every page shares
- `reference_figures`: hand-designed networks' figure
- `reference_page`: hand-designed networks
- `rendering`: the templates
- `study`: the sections of a study's report
"""
