// Scripts installed by version 0.1 load this file; the bridge has since moved to worker/.
def here = new File(getClass().protectionDomain.codeSource.location.toURI()).parentFile
evaluate(new File(here.parentFile, 'worker/bridge.groovy'))
