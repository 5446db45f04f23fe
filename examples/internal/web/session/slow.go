package session

import "errors"

type slow struct{}

func (w *world) slow(*Op) error { return errors.New("slow acts are not there yet") }
