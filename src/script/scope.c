#include "script/scope.h"

#include "script/task.h"

void scope_hold(struct scope *scope, struct held *held)
{
	held->place = &scope->held;
	held->next = scope->held;
	if (held->next)
		held->next->place = &held->next;
	scope->held = held;
}

void scope_drop(struct held *held)
{
	if (!held->place)
		return;
	*held->place = held->next;
	if (held->next)
		held->next->place = held->place;
	held->place = NULL;
	held->drop(held);
}

void scope_release(struct scope *scope)
{
	while (scope->tasks)
		task_cancel(scope->tasks);
	while (scope->held)
		scope_drop(scope->held);
}
