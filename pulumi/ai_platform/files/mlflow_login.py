"""Before MLflow starts: the administrator's password becomes that of the configuration.

MLflow takes it from there only when it makes the user: a rotated one would open nothing, and the old one
everything. Environment: MLFLOW_AUTH_CONFIG_PATH, as MLflow itself has it.
"""

import sys

import sqlalchemy
from mlflow.server.auth.config import read_auth_config
from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore


def main() -> None:
    """Set it where it is another one; before the first start there is nobody yet."""
    wanted = read_auth_config()
    if not sqlalchemy.inspect(sqlalchemy.create_engine(wanted.database_uri)).has_table("users"):
        return
    store = SqlAlchemyStore()
    store.init_db(wanted.database_uri)
    name, password = wanted.admin_username, wanted.admin_password
    if store.has_user(name) and not store.authenticate_user(name, password):
        store.update_user(name, password=password)
        sys.stdout.write(f"{name} has another password now\n")


if __name__ == "__main__":
    main()
