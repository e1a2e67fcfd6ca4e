"""Bilevel reinforcement learning: choose the reward, knowing that the agent will do what is best for itself."""
