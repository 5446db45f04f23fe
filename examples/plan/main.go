// Plan answers the question of day 0: which block size.
package main

func main() { _ = plan{} }
