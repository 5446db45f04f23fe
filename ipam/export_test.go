package ipam

import "reflect"

// Turn makes the allocator go the other way about one of calico.Rules, a field's name.
func Turn(a *Allocator, rule string) {
	f := reflect.ValueOf(&a.rules).Elem().FieldByName(rule)
	f.SetBool(!f.Bool())
}
