"""The faults that a service desk meets, and the promise that holds in each."""
