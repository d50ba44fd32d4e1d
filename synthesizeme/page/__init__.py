"""A page where people choose between answers, and see, correct and own what is believed of them.

- `synthesizeme.page.pool`: what people are asked about, of any file that the importers read.
- `synthesizeme.page.turns`: how an item is put to one person, and what the person's answer makes.
- `synthesizeme.page.next_turn`: what a person is asked next.
- `synthesizeme.page.beliefs`: the persona as of now, what a change changes, how well it predicts.
- `synthesizeme.page.safe_text`: answers of anybody, shown as text.
- `synthesizeme.page.site`: what all routes share; `synthesizeme.page.app`: the routes together;
  `synthesizeme.page.run` serves them.

It stands beside the reward server: users are those of `synthesizeme.serving.users`, kept in the same store.
"""
