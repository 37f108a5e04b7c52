"""What tests are made of, and import from nowhere else: values made up once for all of them.

- `canvases`: images in memory, with what is on them
- `exported`: small networks of every kind
- `filled_ledger`: a ledger with one of everything
- `fronts`: a search's records, its front and its finalists
- `images`: folders of noise in classes
- `layer_counts`: multiply-adds as others count them
- `places`: folders of the project and beside it
- `records`: records, and how a study comes to hold them
- `sections`: what stands on a page below a heading
- `settings`: a search's settings, from its flags
- `workers`: workers that answer at once
"""
