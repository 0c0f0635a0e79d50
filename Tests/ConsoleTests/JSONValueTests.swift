import Testing

@testable import Console

@Suite struct JSONValueTests {
  @Test func textKeepsTheOrderOfMembers() {
    let value: JSONValue = ["z": 1, "a": [true, nil, 2.5], "empty": [], "none": [:], "text": "a\"\\\n\u{1}é"]
    #expect(value.text() == #"{"z":1,"a":[true,null,2.5],"empty":[],"none":{},"text":"a\"\\\n\u0001é"}"#)
    #expect(JSONValue.array([["a": 1]]).text(indented: true) == "[\n  {\n    \"a\": 1\n  }\n]")
    #expect(JSONValue.number(.infinity).text() == "null")
    #expect(JSONValue.unsigned(.max).text() == "1.8446744073709552e+19")
  }

  @Test func access() {
    let value: JSONValue = ["a": [1, "x", 2.5], "b": false]
    #expect(value["a"]?[0]?.integerValue == 1)
    #expect(value["a"]?[1]?.stringValue == "x")
    #expect(value["a"]?[2]?.numberValue == 2.5)
    #expect(value["a"]?[2]?.integerValue == nil)
    #expect(value["a"]?[3] == nil)
    #expect(value["b"]?.boolValue == false)
    #expect(value["c"] == nil)
    #expect(value["a"]?.arrayValue?.count == 3)
    #expect(value.objectValue?.map(\.name) == ["a", "b"])
  }

  @Test(arguments: [
    #"{"z":1,"a":[true,null,2.5],"empty":[],"none":{}}"#, #""é😀""#, "-0.5", "[[[]]]", "9223372036854775807", "-9223372036854775808",
  ])
  func parsingGivesTheSameText(text: String) throws {
    #expect(try JSONParser.parse(text).text() == text)
  }

  @Test func spaceAndEscapes() throws {
    #expect(try JSONParser.parse(" { \"a\" :\t[ 1 , 2 ]\r\n} ") == ["a": [1, 2]])
    #expect(try JSONParser.parse(#""\u0041\ud83d\ude00\/\b\f\n\r\t\"\\""#) == .string("A😀/\u{8}\u{c}\n\r\t\"\\"))
    #expect(try JSONParser.parse("1e3") == .number(1000))
    #expect(try JSONParser.parse("18446744073709551616") == .number(18446744073709551616))
  }

  @Test(
    arguments: [
      ("", .truncated), ("[1,", .truncated), ("{\"a\"", .truncated), ("\"abc", .truncated), ("tru", .truncated), ("\"\\u12", .truncated),
      ("[1,]", .unexpectedByte(offset: 3)), ("{a:1}", .unexpectedByte(offset: 1)), ("{\"a\" 1}", .unexpectedByte(offset: 5)),
      ("[1 2]", .unexpectedByte(offset: 3)), ("nul1", .unexpectedByte(offset: 3)), ("+1", .unexpectedByte(offset: 0)),
      ("01", .badNumber(offset: 0)), ("-", .badNumber(offset: 0)), ("1.", .badNumber(offset: 0)), ("1e", .badNumber(offset: 0)),
      ("1e999", .badNumber(offset: 0)), ("\"\n\"", .badString(offset: 0)), ("\"\\x\"", .badString(offset: 0)),
      ("\"\\ud800\"", .badString(offset: 0)), ("\"\\udc00\"", .badString(offset: 0)), ("\"\\ud800\\u0041\"", .badString(offset: 0)),
      ("\"\\uzzzz\"", .badString(offset: 0)), ("1 1", .trailingBytes(offset: 2)), ("{}{}", .trailingBytes(offset: 2)),
    ] as [(String, JSONParser.Failure)])
  func refusals(text: String, failure: JSONParser.Failure) {
    #expect(throws: failure) { try JSONParser.parse(text) }
  }

  @Test func bytesThatAreNotUTF8AreRefused() {
    #expect(throws: JSONParser.Failure.badString(offset: 0)) { try JSONParser.parse([0x22, 0xff, 0x22]) }
  }

  @Test func depthAndSizeAreBounded() throws {
    let nested = { (depth: Int) in String(repeating: "[", count: depth) + String(repeating: "]", count: depth) }
    _ = try JSONParser.parse(nested(64))
    #expect(throws: JSONParser.Failure.tooDeep(offset: 65)) { try JSONParser.parse(nested(66)) }
    #expect(throws: JSONParser.Failure.tooDeep(offset: 65)) { try JSONParser.parse(String(repeating: "[", count: 100_000)) }
    #expect(throws: JSONParser.Failure.tooLarge) { try JSONParser.parse("[1,2]", maximumByteCount: 4) }
  }

  @Test func noPrefixOfAValueIsAValueOrACrash() {
    let text = #"{"a":[1.5e3,"x\u00e9\n",true,false,null,{"b":{}}]}"#
    for count in 0..<text.utf8.count {
      #expect(throws: JSONParser.Failure.self) { try JSONParser.parse(Array(text.utf8.prefix(count))) }
    }
  }
}
