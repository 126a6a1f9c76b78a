from ocdskingfisherprocess.web.app import create_app

application = create_app()
