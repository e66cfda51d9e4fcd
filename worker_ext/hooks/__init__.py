"""Extensions and their hooks: which there are, for whom they run, in what order, and what their errors do."""
