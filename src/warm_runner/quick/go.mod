module example.com/warm-runner/quick

go 1.24
