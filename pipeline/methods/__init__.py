"""The mathematics: pure functions, each imported by the stages that declare it."""
