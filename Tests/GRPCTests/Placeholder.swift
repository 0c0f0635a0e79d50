import Protobuf
