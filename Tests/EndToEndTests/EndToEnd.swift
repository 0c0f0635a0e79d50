import Testing

/// The release binary, from outside: processes, ports, files, exit statuses. One cluster at a time: several on few cores would
/// only slow each other.
@Suite(.serialized, .timeLimit(.minutes(6))) enum EndToEnd {}
