"""What a terminal would show of the bytes that a program wrote to it: as much of one as line editing uses."""

import re


class Screen:
    def __init__(self, columns):
        self.columns, self.rows, self.row, self.column = columns, [[]], 0, 0

    def put(self, character):
        if self.column == self.columns:
            self.column = 0
            self.down(1)
        line = self.rows[self.row]
        line.extend(" " * (self.column - len(line)))
        line[self.column:self.column + 1] = [character]
        self.column += 1

    def down(self, count):
        self.row += count
        self.rows.extend([] for _ in range(self.row + 1 - len(self.rows)))

    def order(self, parameter, letter):
        count, line = int(parameter or 1) if parameter.isdigit() or not parameter else 0, self.rows[self.row]
        column = min(self.column, self.columns - 1)
        if letter == "A":
            self.row, self.column = max(0, self.row - count), column
        elif letter == "B":
            self.down(count)
        elif letter == "C":
            self.column = min(self.columns - 1, column + count)
        elif letter == "D":
            self.column = max(0, column - count)
        elif letter == "K":
            del line[self.column:]
        elif letter == "J":
            del line[self.column:], self.rows[self.row + 1:]
        elif letter == "P":
            del line[column:column + count]
        elif letter == "@":
            line[column:column] = " " * count

    def feed(self, text):
        for order, character in re.findall(r"\x1b(\[[0-9;?]*[A-Za-z@]|[=>])|([^\x1b])", text):
            if order[:1] == "[":
                self.order(order[1:-1], order[-1])
            elif character == "\r":
                self.column = 0
            elif character == "\n":
                self.down(1)
            elif character == "\b":
                self.column = max(0, self.column - 1)
            elif character and character != "\x07":
                self.put(character)
        return self

    def lines(self):
        return ["".join(row).rstrip() for row in self.rows]
