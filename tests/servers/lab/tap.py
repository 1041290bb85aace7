"""Test points in the Test Anything Protocol, as prove(1) reads them."""
import sys


class Tap:
    def __init__(self):
        self.points = 0
        self.failed = 0

    def point(self, ok, name, differences=()):
        """One point; `differences` are lines that say what was wrong, shown only where it was."""
        self.points += 1
        print(f"{'ok' if ok else 'not ok'} {self.points} - {name.replace('#', ' ')}", flush=True)
        if not ok:
            self.failed += 1
            for line in differences:
                self.note(line)
        return ok

    def agree(self, name, differences):
        """A point that holds where there is no difference."""
        return self.point(not differences, name, differences)

    @staticmethod
    def note(text):
        for line in str(text).splitlines() or [""]:
            print(f"#   {line}", flush=True)

    @staticmethod
    def bail(why):
        """The tests cannot go on at all."""
        print(f"Bail out! {why}", flush=True)
        sys.exit(2)

    def finish(self):
        print(f"1..{self.points}", flush=True)
        return 1 if self.failed else 0
