"""The machine running: memories, engines, semaphores, schedules and timing."""
