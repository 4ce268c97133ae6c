"""`python -m zwarm_ci`."""

from zwarm_ci.entry import main

main()
