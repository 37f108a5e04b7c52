"""What tests are made of, and import from nowhere else: values made up once for all of them.

- `calibrations`: a calibration of made-up networks and trainings
- `canvases`: images in memory, with what is on them
- `clock`: a clock that moves where a test moves it
- `exported`: small networks of every kind
- `filled_ledger`: a ledger with one of everything
- `finalists`: a search and its finalists, with what workers answer of them
- `fronts`: a search's records, its front and its study
- `images`: folders of noise in classes
- `layer_counts`: multiply-adds as others count them
- `measurements`: what the pages of comparisons, references and guidelines are drawn from
- `mutations`: a valid file in hundreds of wrong forms
- `pages`: pages as text, and the page of a small study
- `places`: folders of the project and beside it
- `records`: records, and how a study comes to hold them
- `scored`: what zero-cost scores are taken of
- `searches`: a study with all that a search on it needs
- `sections`: what stands on a page below a heading
- `settings`: settings of a search and of a calibration, from flags
- `stopped_search`: what the next search does with trials left running
- `tables`: benchmark tables
- `train_command`: the smallest training by `nas.train`
- `trainings`: small trainings on noise
- `wide_space`: a space with every choice open, and networks drawn from it
- `workers`: workers that answer at once
"""
