import Console
import Control
import Glibc

extension Command {
  static let storeInitRoles = Command(
    CommandDeclaration(
      ["store", "init-roles"], summary: "make etcd's users: one for the controller, for operators, for readers, and for each node",
      details: """
        Each may write only its own keys. Passwords are random, one file per user in --passwords (mode 0600); what is there is kept, so
        the command may be repeated, as for a new node. Where etcd asks already who calls, give root's in --store:
        etcd://HOST:PORT?user=root&password-file=DIR/root.
        """,
      options: [
        OptionDeclaration("store", .text("etcd://HOST:PORT,..."), help: "the cluster; default $KEELSON_STORE"),
        OptionDeclaration("node", .text("NAME"), isRepeated: true, help: "a node; several with several options"),
        OptionDeclaration("passwords", .text("DIR"), isRequired: true, help: "the folder of the password files"),
        OptionDeclaration("enable-auth", .flag, help: "have etcd ask every caller from now on"),
      ],
      examples: [
        .init(
          "keelson store init-roles --store etcd://10.0.0.1:2379 --node node-1 --node node-2 --passwords /etc/keelson/etcd --enable-auth",
          "then: keelson node --store 'etcd://10.0.0.1:2379?user=node-node-1&password-file=/etc/keelson/etcd/node-node-1'")
      ])
  ) { arguments, output in
    guard let text = arguments.text("store") ?? environmentText("KEELSON_STORE") else {
      throw CommandError.usage("no state store is named", hint: "Give --store, or set KEELSON_STORE.")
    }
    guard case .etcd(let options) = try StoreAccess.location(text) else {
      throw CommandError.usage("'\(text)' is not etcd: only etcd has users", hint: "Write etcd://HOST:PORT.")
    }
    let nodes = arguments.texts("node")
    for name in nodes { do { try Names.validate(node: name) } catch { throw CommandError(describing: error) } }
    let directory = arguments.text("passwords") ?? ""
    if unsafe mkdir(directory, 0o700) != 0, errno != EEXIST {
      throw CommandError("folder_not_made", "cannot make the folder \(directory): \(unsafe String(cString: strerror(errno)))")
    }
    let roles = try EtcdRoles(options)
    let accounts = try roles.makeAccounts(nodes: nodes, directory: directory)
    let isEnabled = arguments.flag("enable-auth")
    if isEnabled { try roles.enableAuthentication() }
    output.write(json: [
      "users": .array(accounts.map { ["name": .string($0.name), "password_file": .string($0.passwordPath), "new": .bool($0.isNew)] }),
      "auth_enabled": .bool(isEnabled),
    ]) { _ in
      accounts.map { "\($0.name)  \($0.passwordPath)\($0.isNew ? "  (new)" : "")\n" }.joined()
        + (isEnabled ? "etcd asks every caller now.\n" : "etcd asks nobody yet: --enable-auth makes it.\n")
    }
    return .success
  }
}
