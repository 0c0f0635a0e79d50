import Testing

@testable import Console

@Suite struct TextTableTests {
  @Test func columnsAreAligned() {
    var table = TextTable([.init("name"), .init("size", .right), .init("state")])
    table.add(["db", "1 GiB", "healthy"])
    table.add(["a-long-name", "512 MiB", ""])
    table.add(["x", "", "degraded"])
    #expect(
      table.text() == """
        NAME            SIZE  STATE
        db             1 GiB  healthy
        a-long-name  512 MiB
        x                     degraded

        """)
  }

  @Test func coloursDoNotCountAsWidth() {
    var table = TextTable([.init("a"), .init("b")])
    table.add([.init("bad", .red), "z"])
    table.add([.init("fine"), "z"])
    let style = TextStyle(usesColour: true)
    #expect(table.text(style: style).contains("\u{1b}[31mbad\u{1b}[0m   z\nfine  z\n"))
  }

  @Test func controlCharactersDoNotReachTheTerminal() {
    var table = TextTable([.init("a")])
    table.add(["x\u{1b}[31m\n\u{9b}y\u{202e}"])
    #expect(table.text() == "A\nx?[31m??y?\n")
  }
}
